#include "knowledge_cache/library.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/file.h"
#include "base/hash.h"
#include "knowledge_cache/packs/pack.h"
#include "text/difference.h"
#include "text/words.h"

namespace pmt::knowledge_cache {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSuffix = ".pack";
constexpr std::size_t kEmbeddedAtOnce = 64;
constexpr float kSameQuestion = 0.9F;  // two phrasings that ask one thing the same
constexpr std::size_t kOthersMax = 2000;

std::int64_t stamp_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return 0;
  return info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec + static_cast<std::int64_t>(info.st_ino);
}

/// What a question asks of its thing by name, and what it says besides: "revenue" and " in 2023" of "What was the
/// revenue of this thing in 2023?".
struct Named {
  std::string relation;  // "": it asks otherwise
  std::string besides;
  std::string thing() const { return std::string(kThing) + besides; }
};

std::string without_end(std::string text) {
  while (!text.empty() && (text.back() == '?' || text.back() == '.' || text.back() == ' ')) text.pop_back();
  return text;
}

Named relation_named(const std::string& question) {
  static constexpr std::string_view kBegins[] = {"What is the ",  "What's the ",   "Tell me the ",
                                                 "What are the ", "What was the ", "The "};
  static constexpr std::string_view kOf = " of ";
  for (const std::string_view begin : kBegins) {
    if (question.rfind(begin, 0) != 0) continue;
    const auto end = question.find(std::string(kOf) + std::string(kThing));
    if (end == std::string::npos || end <= begin.size()) continue;
    std::string name = question.substr(begin.size(), end - begin.size());
    if (std::count(name.begin(), name.end(), ' ') < 5)
      return {std::move(name), without_end(question.substr(end + kOf.size() + kThing.size()))};
  }
  const auto owned = question.find("his thing's ");
  if (owned == std::string::npos) return {};
  std::string name = without_end(question.substr(owned + 12));
  if (std::count(name.begin(), name.end(), ' ') >= 3) return {};
  return {std::move(name), ""};
}

/// The same words, and nothing that tells them apart: "in 2023" and "in 2024" do.
bool ask_the_same(const Slot& a, const Slot& b) {
  const Phrasings &one = *a.phrasings, &other = *b.phrasings;
  const bool near =
      (!one.asked.empty() && !other.asked.empty() && one.asked.front() == other.asked.front()) ||
      (!one.keys.empty() && !other.keys.empty() &&
       cosine(one.keys.front(), other.keys.front()) > kSameQuestion);
  if (!near) return false;
  const auto question = [](const Slot& slot) {
    return text::question_of(masked_mention(slot.fact.prompt, slot.mention_words));
  };
  const text::Qualified there = text::qualified(question(a), question(b)),
                        back = text::qualified(question(b), question(a));
  return there.difference == text::Difference::kNone && back.difference == text::Difference::kNone &&
         !there.leaves_out && !back.leaves_out;
}

void add_other_wordings(const RelationSpace& space, Phrasings& phrasings) {
  const auto more = space.other_wordings(phrasings.keys);
  phrasings.keys.insert(phrasings.keys.end(), more.begin(), more.end());
}

/// The same words and, to a pack's eight bits, the same keys.
bool are_alike(const Phrasings& a, const Phrasings& b) {
  constexpr float kAlike = 0.999F;
  return a.asked == b.asked && std::equal(a.keys.begin(), a.keys.end(), b.keys.begin(), b.keys.end(),
                                          [](const auto& x, const auto& y) { return cosine(x, y) > kAlike; });
}

base::Error no_such_domain(const std::string& domain, const std::vector<std::string>& known) {
  return {
      base::Code::kNotFound,
      known.empty()
          ? fmt::format(
                "no domain \"{}\": nothing was taught to this model yet. permutation learn {} FACTS.jsonl",
                domain, domain)
          : fmt::format("no domain \"{}\"; there are: {}", domain, fmt::join(known, ", ")),
      "domain"};
}

}  // namespace

/// Held while a domain is read, changed and written: by one process and thread at a time.
class Library::WriteLock {
 public:
  static base::Result<std::unique_ptr<WriteLock>> take(const std::string& folder, const std::string& domain) {
    std::error_code error;
    fs::create_directories(folder, error);
    const std::string path = folder + "/." + domain + ".lock";
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0)
      return base::Error{base::Code::kIo, fmt::format("can't write in {}: {}", folder, std::strerror(errno))};
    while (::flock(file, LOCK_EX) != 0) {
      if (errno != EINTR) {
        ::close(file);
        return base::Error{base::Code::kIo, fmt::format("can't lock {}: {}", path, std::strerror(errno))};
      }
    }
    return std::unique_ptr<WriteLock>(new WriteLock(file));
  }
  ~WriteLock() { ::close(file_); }
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;

 private:
  explicit WriteLock(int file) : file_(file) {}
  int file_;
};

Library::Library(LibraryOptions options, const base::Clock& clock)
    : options_(std::move(options)), clock_(clock), lexicon_(options_.rarity, options_.bank) {}

base::Result<std::unique_ptr<Library>> Library::open(LibraryOptions options, const base::Clock& clock) {
  std::unique_ptr<Library> library(new Library(std::move(options), clock));
  library->refresh();
  return library;
}

Library& Library::of_tenant(const std::string& tenant) {
  if (tenant.empty()) return *this;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = tenants_.find(tenant); found != tenants_.end()) return *found->second;
  }
  LibraryOptions options = options_;
  // A digest: a tenant's name may be anything, and must not lead out of the folder.
  options.folder = options_.folder + "/tenants/" + base::sha256(tenant).hex().substr(0, 32);
  std::unique_ptr<Library> library(new Library(std::move(options), clock_));
  library->refresh();
  const std::lock_guard lock(mutex_);
  return *tenants_.try_emplace(tenant, std::move(library)).first->second;
}

std::string Library::path_of(const std::string& domain) const {
  return options_.folder + "/" + domain + kSuffix;
}

bool Library::unchanged() {
  // A pack is written aside and renamed, which sets its folder's time. A time of this very second may hide
  // the next change, so it isn't relied on yet.
  constexpr std::int64_t kSettledSeconds = 2;
  struct stat info {};
  FolderTime seen{-1, 0};  // no folder
  if (::stat(options_.folder.c_str(), &info) == 0) seen = {info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
  const std::lock_guard lock(mutex_);
  const bool same = read_at_ && *read_at_ == seen;
  read_at_.reset();
  if (clock_.unix_seconds() - seen.first >= kSettledSeconds) read_at_ = seen;
  return same;
}

void Library::refresh() {
  if (unchanged()) return;
  std::set<std::string> there;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(options_.folder, error)) {
    const fs::path& path = entry.path();
    if (path.extension() == kSuffix && check_domain_name(path.stem().string()))
      there.insert(path.stem().string());
  }
  std::vector<std::string> changed;
  {
    const std::lock_guard lock(mutex_);
    for (auto it = domains_.begin(); it != domains_.end();)
      it = there.contains(it->first) ? std::next(it) : domains_.erase(it);
    for (const std::string& domain : there) {
      const auto held = domains_.find(domain);
      if (held == domains_.end() || held->second.stamp != stamp_of(path_of(domain)))
        changed.push_back(domain);
    }
  }
  for (const std::string& domain : changed) {
    if (const base::Status loaded = load(domain); !loaded) options_.on_warning(loaded.error().message);
  }
}

base::Result<std::shared_ptr<const Domain>> Library::read_pack(const std::string& path) {
  TRY_ASSIGN(const std::string bytes, base::read_file(path));
  auto domain = domain_of(bytes);
  if (!domain && domain.error().code == base::Code::kCorrupt) {
    const auto aside = base::set_aside(path);
    return base::Error{base::Code::kCorrupt,
                       fmt::format("{}: {}. {}", path, domain.error().message,
                                   aside ? "It was set aside as " + *aside : aside.error().message)};
  }
  return domain;
}

base::Status Library::load(const std::string& domain) {
  const std::string path = path_of(domain);
  const std::int64_t stamp = stamp_of(path);
  TRY_ASSIGN(auto read, read_pack(path));
  if (read->origin().model != options_.model) {
    return base::Error{
        base::Code::kUnprocessable,
        fmt::format("{} was taught to another model than {}: it is not used", path, options_.model_name)};
  }
  TRY_ASSIGN(read, with_keys_of_this_space(std::move(read)));
  const std::lock_guard lock(mutex_);
  domains_[domain] = {std::move(read), stamp};
  return {};
}

/// A pack of another calibration keeps its phrasings: they are embedded anew.
base::Result<std::shared_ptr<const Domain>> Library::with_keys_of_this_space(
    std::shared_ptr<const Domain> domain) {
  if (!options_.embed) return domain;
  const auto space = ensure_space();
  if (!space) {
    options_.on_warning(fmt::format("domain {}: {}. Its facts are recalled word for word only",
                                    domain->origin().name, space.error().message));
    return domain;
  }
  if ((*space)->id() == domain->origin().space) return domain;
  Domain::Slots slots;
  std::map<const Phrasings*, std::shared_ptr<const Phrasings>> anew;
  for (const auto& slot : domain->slots()) {
    auto& phrasings = anew[slot->phrasings.get()];
    if (phrasings == nullptr) {
      Phrasings made{slot->phrasings->asked, {}};
      TRY_ASSIGN(made.keys, keys_of(made.asked, {}));
      add_other_wordings(**space, made);
      phrasings = std::make_shared<const Phrasings>(std::move(made));
    }
    Slot again = *slot;
    again.phrasings = phrasings;
    slots.push_back(std::make_shared<const Slot>(std::move(again)));
  }
  Domain::Origin origin = domain->origin();
  origin.space = (*space)->id();
  return std::make_shared<const Domain>(std::move(origin), std::move(slots));
}

base::Result<std::shared_ptr<const RelationSpace>> Library::ensure_space() {
  const std::lock_guard one_at_a_time(calibrating_);
  if (auto ready = space()) return ready;
  if (!options_.embed)
    return base::Error{base::Code::kUnavailable,
                       "there is no embedding model: permutation models pull all-minilm-l6-v2"};
  TRY_ASSIGN(auto made, RelationSpace::load_or_calibrate(options_.embed,
                                                         {.embedder = options_.embedder,
                                                          .path = options_.space_path,
                                                          .bank = options_.bank,
                                                          .on_progress = options_.on_calibration_progress,
                                                          .on_warning = options_.on_warning}));
  const std::lock_guard lock(mutex_);
  space_ = made;
  return made;
}

std::shared_ptr<const RelationSpace> Library::space() const {
  const std::lock_guard lock(mutex_);
  return space_;
}

std::vector<DomainInfo> Library::list() const {
  std::vector<DomainInfo> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, held] : domains_) {
    const Domain& d = *held.domain;
    out.push_back(
        {name, d.origin().version, d.slots().size(), d.things().size(), d.bytes(), d.origin().learnt_unix_s});
  }
  return out;
}

base::Result<std::shared_ptr<const Domain>> Library::find(const std::string& domain) const {
  const std::lock_guard lock(mutex_);
  const auto found = domains_.find(domain);
  if (found != domains_.end()) return found->second.domain;
  std::vector<std::string> known;
  for (const auto& [name, held] : domains_) known.push_back(name);
  return no_such_domain(domain, known);
}

base::Result<Domains> Library::find_all(const std::vector<std::string>& domains) const {
  Domains out;
  for (const std::string& name : domains) {
    TRY_ASSIGN(auto domain, find(name));
    if (std::find(out.begin(), out.end(), domain) == out.end()) out.push_back(std::move(domain));
  }
  return out;
}

base::Result<std::vector<std::vector<float>>> Library::keys_of(const std::vector<std::string>& texts,
                                                               const Progress& progress) {
  const auto space = this->space();
  std::vector<std::vector<float>> keys;
  for (std::size_t at = 0; at < texts.size(); at += kEmbeddedAtOnce) {
    const auto first = texts.begin() + static_cast<std::ptrdiff_t>(at);
    const auto last =
        texts.begin() + static_cast<std::ptrdiff_t>(std::min(texts.size(), at + kEmbeddedAtOnce));
    TRY_ASSIGN(const auto rows, memo_.embed(options_.embed, {first, last}));
    for (std::size_t i = 0; i + space->width() <= rows.size(); i += space->width())
      keys.push_back(space->key(&rows[i]));
    if (progress) progress(static_cast<std::size_t>(last - texts.begin()), texts.size());
  }
  if (keys.size() != texts.size()) return base::Error{base::Code::kInternal, "the embedder left out texts"};
  return keys;
}

base::Result<std::vector<Slot>> Library::make_slots(const ParsedFacts& facts, const std::string& source,
                                                    LearnReport& report, const Progress& progress) {
  std::vector<Slot> slots;
  std::vector<std::vector<std::string>> asked_of;  // each slot's phrasings as they were written
  for (std::size_t i = 0; i < facts.facts.size(); ++i) {
    const Fact& fact = facts.facts[i];
    std::vector<std::string> phrasings{fact.prompt};
    phrasings.insert(phrasings.end(), fact.paraphrases.begin(), fact.paraphrases.end());
    const auto mention = choose_mention(phrasings, fact.subject, lexicon_);
    if (!mention) {
      report.errors.push_back({facts.lines[i], mention.error().message});
      continue;
    }
    Slot slot;
    slot.fact = fact;
    slot.mention = fact.prompt.substr(mention->begin, mention->end - mention->begin);
    slot.mention_words = mention->words;
    slot.statement = statement_of(fact, slot.mention);
    slot.source = source;
    slot.line = facts.lines[i];
    slot.learnt_unix_s = clock_.unix_seconds();
    std::vector<std::string> asked;
    const auto add = [&asked](std::string text) {
      if (std::find(asked.begin(), asked.end(), text) == asked.end()) asked.push_back(std::move(text));
    };
    for (const std::string& phrasing : phrasings) {
      std::string question = masked_mention(phrasing, slot.mention_words);
      if (!question.empty()) add(plain_question(std::move(question)));
    }
    // A relation that is named is asked for by templates too.
    if (const Named named = relation_named(asked.front()); !named.relation.empty()) {
      for (std::string& form : template_forms(named.relation, named.thing())) add(std::move(form));
    }
    asked_of.push_back(std::move(asked));
    slots.push_back(std::move(slot));
  }
  // Templates over few relations: most phrasings of a domain are the same once the thing is masked.
  std::map<std::string, std::size_t> places;
  std::vector<std::string> unique;
  for (const auto& asked : asked_of) {
    for (const std::string& text : asked) {
      if (places.emplace(text, unique.size()).second) unique.push_back(text);
    }
  }
  std::shared_ptr<const RelationSpace> space;
  std::vector<std::vector<float>> keys;
  if (options_.embed) {
    TRY_ASSIGN(space, ensure_space());
    TRY_ASSIGN(keys, keys_of(unique, progress));
  }
  std::map<std::vector<std::string>, std::shared_ptr<const Phrasings>> made;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    auto& phrasings = made[asked_of[i]];
    if (phrasings == nullptr) {
      Phrasings one;
      for (const std::string& text : asked_of[i]) {
        one.asked.push_back(text::folded_text(text));
        if (space != nullptr) one.keys.push_back(keys[places.at(text)]);
      }
      if (space != nullptr) add_other_wordings(*space, one);
      phrasings = std::make_shared<const Phrasings>(std::move(one));
    }
    slots[i].phrasings = phrasings;
  }
  return slots;
}

/// Replaces what has the same id, skips what is known, refuses what contradicts.
Domain::Slots Library::merge(const Domain* before, std::vector<Slot> slots, LearnReport& report) {
  Domain::Slots out = before == nullptr ? Domain::Slots{} : before->slots();
  std::map<std::string, std::size_t> ids;
  std::map<std::vector<std::string>, std::vector<std::size_t>> by_name;
  std::map<std::vector<std::string>, std::shared_ptr<const Phrasings>> by_asked;
  for (std::size_t i = 0; i < out.size(); ++i) {
    ids.emplace(out[i]->fact.id, i);
    by_name[out[i]->mention_words].push_back(i);
    by_asked.emplace(out[i]->phrasings->asked, out[i]->phrasings);
  }
  std::size_t next_id = out.size() + 1;
  for (Slot& slot : slots) {
    const auto [shared, is_new] = by_asked.emplace(slot.phrasings->asked, slot.phrasings);
    if (!is_new && are_alike(*shared->second, *slot.phrasings)) slot.phrasings = shared->second;
    const auto same_id = slot.fact.id.empty() ? ids.end() : ids.find(slot.fact.id);
    const Slot* known = nullptr;
    for (const std::size_t i : by_name[slot.mention_words]) {
      if (same_id != ids.end() && i == same_id->second) continue;
      if (ask_the_same(*out[i], slot)) known = out[i].get();
    }
    if (known != nullptr && text::folded_text(known->fact.answer) == text::folded_text(slot.fact.answer)) {
      ++report.known_before;
      continue;
    }
    if (known != nullptr) {
      report.contradictions.push_back(
          {slot.fact.id, known->fact.id, slot.fact.prompt, slot.fact.answer, known->fact.answer});
      continue;
    }
    if (same_id != ids.end()) {
      slot.revision = out[same_id->second]->revision + 1;
      out[same_id->second] = std::make_shared<const Slot>(std::move(slot));
      ++report.updated;
      continue;
    }
    while (slot.fact.id.empty()) {
      std::string id = std::to_string(next_id++);
      if (!ids.contains(id)) slot.fact.id = std::move(id);
    }
    ids.emplace(slot.fact.id, out.size());
    by_name[slot.mention_words].push_back(out.size());
    out.push_back(std::make_shared<const Slot>(std::move(slot)));
    ++report.learnt;
  }
  return out;
}

base::Result<const Slot*> Library::ask(const Domains& domains, const std::string& question, bool by_meaning) {
  const Inquiry inquiry({.turns = {question}, .raw = false}, domains, lexicon_);
  static const RelationSpace kNone;
  const auto space = this->space();
  std::vector<float> rows;
  if (by_meaning && space != nullptr && !inquiry.questions().empty()) {
    TRY_ASSIGN(rows, memo_.embed(options_.embed, inquiry.questions()));
  }
  const Recalled recalled = inquiry.decide(rows, space == nullptr ? kNone : *space);
  return recalled.facts.empty() ? nullptr : recalled.facts.front().slot;
}

base::Status Library::verify(const Domain* before, const Domain& after, const std::vector<std::string>& ids,
                             LearnReport& report) {
  const auto alias = [](const Domain& domain) {
    return Domains{std::shared_ptr<const Domain>(&domain, [](auto*) {})};
  };
  const Domains now = alias(after);
  const std::set<std::string> changed(ids.begin(), ids.end());
  constexpr std::size_t kUnseenMax = 200;  // phrasings to embed
  for (const std::string& id : ids) {
    const Slot* slot = after.find(id);
    TRY_ASSIGN(const Slot* found, ask(now, slot->fact.prompt, false));
    if (found == nullptr) {
      TRY_ASSIGN(found, ask(now, slot->fact.prompt, true));
    }
    report.recalled += found == slot ? 1 : 0;
    if (report.unseen_asked >= kUnseenMax || !options_.embed) continue;
    const Named named = relation_named(masked_mention(slot->fact.prompt, slot->mention_words));
    if (named.relation.empty()) continue;
    ++report.unseen_asked;
    TRY_ASSIGN(const Slot* unseen, ask(now,
                                       fmt::format("Could you give me {}'s {}{}, please?", slot->mention,
                                                   named.relation, named.besides),
                                       true));
    report.unseen_recalled += unseen == slot ? 1 : 0;
  }
  if (before == nullptr) return {};
  const Domains then = alias(*before);
  for (const auto& slot : before->slots()) {
    if (changed.contains(slot->fact.id) || report.others_asked >= kOthersMax) continue;
    ++report.others_asked;
    TRY_ASSIGN(const Slot* was, ask(then, slot->fact.prompt, false));
    TRY_ASSIGN(const Slot* is, ask(now, slot->fact.prompt, false));
    const bool same =
        (was == nullptr) == (is == nullptr) && (was == nullptr || was->fact.answer == is->fact.answer);
    report.others_changed += same ? 0 : 1;
  }
  return {};
}

base::Result<LearnReport> Library::learn(const std::string& domain, ParsedFacts facts,
                                         const std::string& source, const Progress& progress) {
  TRY(check_domain_name(domain));
  const base::Nanos begin = clock_.now();
  LearnReport report;
  report.domain = domain;
  report.given = facts.facts.size() + facts.errors.size();
  report.errors = std::move(facts.errors);
  TRY_ASSIGN(const auto lock, WriteLock::take(options_.folder, domain));
  refresh();  // what another process taught it meanwhile
  const auto held = find(domain);
  const Domain* before = held ? held->get() : nullptr;
  TRY_ASSIGN(auto slots, make_slots(facts, source, report, progress));
  const std::size_t count = slots.size();
  Domain::Slots all = merge(before, std::move(slots), report);
  if (all.size() > options_.limits.facts_max) {
    return base::Error{base::Code::kTooLarge,
                       fmt::format("domain {} would have {} facts, at most {} are taken", domain, all.size(),
                                   options_.limits.facts_max)};
  }
  std::vector<std::string> ids;
  for (const auto& slot : all) {
    const Slot* old = before == nullptr ? nullptr : before->find(slot->fact.id);
    if (old != slot.get()) ids.push_back(slot->fact.id);
  }
  report.version = before == nullptr ? "" : before->origin().version;
  if (!ids.empty()) {
    const auto space = this->space();
    const auto after = std::make_shared<const Domain>(
        Domain::Origin{domain, options_.model, space == nullptr ? "" : space->id(), new_version(),
                       clock_.unix_seconds()},
        std::move(all));
    TRY(store(after));
    report.version = after->origin().version;
    report.bytes_a_fact = after->bytes() / after->slots().size();
    report.seconds = base::ms_between(begin, clock_.now()) / 1e3;
    report.seconds_a_fact = report.seconds / static_cast<double>(std::max<std::size_t>(1, count));
    TRY(verify(before, *after, ids, report));
  }
  return report;
}

base::Status Library::store(const std::shared_ptr<const Domain>& domain) {
  const std::string path = path_of(domain->origin().name);
  TRY(base::replace_file(path, pack_bytes(*domain)));
  const std::lock_guard lock(mutex_);
  domains_[domain->origin().name] = {domain, stamp_of(path)};
  return {};
}

base::Status Library::forget(const std::string& domain) {
  TRY(check_domain_name(domain));
  TRY_ASSIGN(const auto lock, WriteLock::take(options_.folder, domain));
  refresh();
  TRY(find(domain));
  const std::string path = path_of(domain);
  if (::unlink(path.c_str()) != 0)
    return base::Error{base::Code::kIo, fmt::format("can't delete {}: {}", path, std::strerror(errno))};
  const std::lock_guard guard(mutex_);
  domains_.erase(domain);
  return {};
}

base::Status Library::forget_fact(const std::string& domain, const std::string& id) {
  TRY(check_domain_name(domain));
  TRY_ASSIGN(const auto lock, WriteLock::take(options_.folder, domain));
  refresh();
  TRY_ASSIGN(const auto before, find(domain));
  if (before->find(id) == nullptr)
    return base::Error{base::Code::kNotFound, fmt::format("domain {} has no fact \"{}\"", domain, id), "id"};
  Domain::Slots left;
  for (const auto& slot : before->slots()) {
    if (slot->fact.id != id) left.push_back(slot);
  }
  Domain::Origin origin = before->origin();
  origin.version = new_version();
  return store(std::make_shared<const Domain>(std::move(origin), std::move(left)));
}

base::Result<std::string> Library::export_pack(const std::string& domain) const {
  TRY_ASSIGN(const auto found, find(domain));
  return pack_bytes(*found);
}

base::Result<DomainInfo> Library::import_pack(std::string_view bytes, const std::string& name) {
  auto read = domain_of(bytes);
  if (!read) return base::Error{base::Code::kUnprocessable, read.error().message};  // the sender's, not ours
  std::shared_ptr<const Domain> pack = std::move(*read);
  if (pack->origin().model != options_.model) {
    return base::Error{
        base::Code::kUnprocessable,
        fmt::format("this pack was made for another model than {} (its digest is {}, the model's {}): "
                    "learn its facts with this one",
                    options_.model_name, pack->origin().model.substr(0, 12), options_.model.substr(0, 12))};
  }
  Domain::Origin origin = pack->origin();
  if (!name.empty()) origin.name = name;
  TRY(check_domain_name(origin.name));
  TRY_ASSIGN(const auto lock, WriteLock::take(options_.folder, origin.name));
  TRY_ASSIGN(pack, with_keys_of_this_space(std::move(pack)));
  origin.space = pack->origin().space;
  origin.version = new_version();  // a version never comes back: answers were cached under it
  const auto domain = std::make_shared<const Domain>(origin, pack->slots());
  TRY(store(domain));
  return DomainInfo{origin.name,     origin.version,      domain->slots().size(), domain->things().size(),
                    domain->bytes(), origin.learnt_unix_s};
}

}  // namespace pmt::knowledge_cache
