#include "knowledge_cache/library.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/hash.h"
#include "knowledge_cache/packs/pack.h"
#include "knowledge_cache/teach/examiner.h"

namespace pmt::knowledge_cache {
namespace {

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

DomainInfo info_of(const Domain& domain) {
  const Domain::Origin& origin = domain.origin();
  const Documents* const documents = domain.documents().get();
  return {origin.name,
          origin.version,
          domain.slots().size(),
          domain.things().size(),
          domain.bytes(),
          origin.learnt_unix_s,
          documents == nullptr ? 0 : documents->list().size(),
          documents == nullptr ? 0 : documents->passages().size()};
}

}  // namespace

Library::Library(LibraryOptions options, const base::Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      lexicon_(options_.rarity, options_.bank),
      folder_({.path = options_.folder, .model = options_.model, .model_name = options_.model_name}, clock),
      keys_(options_.embed, {.embedder = options_.embedder,
                             .path = options_.space_path,
                             .bank = options_.bank,
                             .on_progress = options_.on_calibration_progress,
                             .on_warning = options_.on_warning}) {}

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

void Library::refresh() {
  if (!folder_.changed()) return;
  const std::set<std::string> there = folder_.domains();
  std::vector<std::string> changed;
  {
    const std::lock_guard lock(mutex_);
    for (auto it = domains_.begin(); it != domains_.end();)
      it = there.contains(it->first) ? std::next(it) : domains_.erase(it);
    for (const std::string& domain : there) {
      const auto held = domains_.find(domain);
      if (held == domains_.end() || held->second.stamp != folder_.stamp(domain)) changed.push_back(domain);
    }
  }
  for (const std::string& domain : changed) {
    if (const base::Status loaded = load(domain); !loaded) options_.on_warning(loaded.error().message);
  }
}

base::Status Library::load(const std::string& domain) {
  TRY_ASSIGN(PackFolder::Stamped read, folder_.read(domain));
  TRY_ASSIGN(read.domain, with_keys_of_this_space(std::move(read.domain)));
  const std::lock_guard lock(mutex_);
  domains_[domain] = std::move(read);
  return {};
}

/// A pack of another calibration keeps its phrasings: they are embedded anew.
base::Result<std::shared_ptr<const Domain>> Library::with_keys_of_this_space(
    std::shared_ptr<const Domain> domain) {
  if (!keys_.has_embedder() || domain->slots().empty()) return domain;
  if (const auto space = keys_.ensure_space(); !space) {
    options_.on_warning(fmt::format("domain {}: {}. Its facts are recalled word for word only",
                                    domain->origin().name, space.error().message));
    return domain;
  }
  return keys_.rekeyed(std::move(domain));
}

std::vector<DomainInfo> Library::list() const {
  std::vector<DomainInfo> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, held] : domains_) {
    out.push_back(info_of(*held.domain));
    out.back().name = name;
  }
  return out;
}

std::vector<DomainInfo> Library::list_all() const {
  std::vector<DomainInfo> out = list();
  const std::lock_guard lock(mutex_);
  for (const auto& [tenant, library] : tenants_) {
    for (DomainInfo& info : library->list()) out.push_back(std::move(info));
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

base::Result<std::vector<Slot>> Library::slots_with_keys(Lesson lesson, const Progress& progress) {
  if (!keys_.has_embedder()) return slots_of(std::move(lesson), {}, nullptr);
  TRY_ASSIGN(const auto space, keys_.ensure_space());
  TRY_ASSIGN(const auto keys, keys_.of(lesson.questions, progress));
  return slots_of(std::move(lesson), keys, space.get());
}

base::Status Library::examine(const Domain* before, const Domain& after,
                              const std::vector<std::string>& taught, LearnReport& report) {
  TRY_ASSIGN(const Exam exam, Examiner(lexicon_, keys_).examine(before, after, taught));
  report.recalled = exam.recalled;
  report.unseen_asked = exam.unseen_asked;
  report.unseen_recalled = exam.unseen_recalled;
  report.others_asked = exam.others_asked;
  report.others_changed = exam.others_changed;
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
  TRY_ASSIGN(const auto lock, folder_.lock(domain));
  refresh();  // what another process taught it meanwhile
  const auto held = find(domain);
  const Domain* before = held ? held->get() : nullptr;
  Lesson lesson = prepare(facts, {.name = source, .learnt_unix_s = clock_.unix_seconds()}, lexicon_);
  report.errors.insert(report.errors.end(), lesson.errors.begin(), lesson.errors.end());
  TRY_ASSIGN(auto slots, slots_with_keys(std::move(lesson), progress));
  const std::size_t count = slots.size();
  Merged merged = merge(before, std::move(slots));
  report.learnt = merged.learnt;
  report.updated = merged.updated;
  report.known_before = merged.known_before;
  report.contradictions = std::move(merged.contradictions);
  if (merged.slots.size() > options_.limits.facts_max) {
    return base::Error{base::Code::kTooLarge,
                       fmt::format("domain {} would have {} facts, at most {} are taken", domain,
                                   merged.slots.size(), options_.limits.facts_max)};
  }
  report.version = before == nullptr ? "" : before->origin().version;
  if (merged.changed.empty()) return report;
  const auto space = this->space();
  const auto after = std::make_shared<const Domain>(
      Domain::Origin{domain, options_.model, space == nullptr ? "" : space->id(), new_version(),
                     clock_.unix_seconds()},
      std::move(merged.slots), before == nullptr ? nullptr : before->documents());
  TRY(store(after));
  report.version = after->origin().version;
  const std::size_t of_documents = after->documents() == nullptr ? 0 : after->documents()->bytes();
  report.bytes_a_fact = (after->bytes() - of_documents) / after->slots().size();
  report.seconds = base::ms_between(begin, clock_.now()) / 1e3;
  report.seconds_a_fact = report.seconds / static_cast<double>(std::max<std::size_t>(1, count));
  TRY(examine(before, *after, merged.changed, report));
  return report;
}

base::Status Library::store(const std::shared_ptr<const Domain>& domain) {
  TRY_ASSIGN(const std::int64_t stamp, folder_.write(*domain));
  const std::lock_guard lock(mutex_);
  domains_[domain->origin().name] = {domain, stamp};
  return {};
}

base::Status Library::forget(const std::string& domain) {
  TRY(check_domain_name(domain));
  TRY_ASSIGN(const auto lock, folder_.lock(domain));
  refresh();
  TRY(find(domain));
  TRY(folder_.remove(domain));
  const std::lock_guard guard(mutex_);
  domains_.erase(domain);
  return {};
}

base::Status Library::forget_fact(const std::string& domain, const std::string& id) {
  TRY(check_domain_name(domain));
  TRY_ASSIGN(const auto lock, folder_.lock(domain));
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
  return store(std::make_shared<const Domain>(std::move(origin), std::move(left), before->documents()));
}

base::Status Library::store_documents(const std::string& domain, const Domain* before, Documents::List list,
                                      std::shared_ptr<const Domain>& after) {
  Domain::Origin origin{domain, options_.model, "", "", clock_.unix_seconds()};
  if (before != nullptr) origin = before->origin();
  origin.version = new_version();
  auto documents = list.empty() ? nullptr : std::make_shared<const Documents>(std::move(list));
  after = std::make_shared<const Domain>(
      std::move(origin), before == nullptr ? Domain::Slots() : before->slots(), std::move(documents));
  return store(after);
}

base::Status Library::check_room(const std::string& domain, const Documents::List& list) const {
  std::size_t bytes = 0;
  for (const auto& document : list) bytes += document->text.size();
  const DocumentLimits& limits = options_.document_limits;
  if (list.size() <= limits.documents_max && bytes <= limits.domain_bytes_max) return {};
  return base::Error{base::Code::kTooLarge,
                     fmt::format("domain {} would have {} documents of {} bytes: at most {} and {} are taken",
                                 domain, list.size(), bytes, limits.documents_max, limits.domain_bytes_max)};
}

base::Result<DocumentReport> Library::learn_document(const std::string& domain, Document document,
                                                     const std::string& source) {
  TRY(check_domain_name(domain));
  const base::Nanos begin = clock_.now();
  TRY_ASSIGN(const auto lock, folder_.lock(domain));
  refresh();  // what another process taught it meanwhile
  const auto held = find(domain);
  std::shared_ptr<const Domain> after = held ? *held : nullptr;
  const std::shared_ptr<const Domain> before = after;
  Documents::List list;
  if (before != nullptr && before->documents() != nullptr) list = before->documents()->list();
  DocumentReport report{
      .domain = domain, .version = {}, .document = document.name, .bytes = document.text.size()};
  const auto known =
      std::find_if(list.begin(), list.end(), [&](const auto& one) { return one->name == document.name; });
  report.known_before = known != list.end() && (*known)->text == document.text;
  report.revision = known == list.end() ? 1 : (*known)->revision + (report.known_before ? 0 : 1);
  if (!report.known_before) {
    document.source = source;
    document.learnt_unix_s = clock_.unix_seconds();
    document.revision = report.revision;
    auto kept = std::make_shared<const Document>(std::move(document));
    known == list.end() ? list.push_back(std::move(kept)) : void(*known = std::move(kept));
    TRY(check_room(domain, list));
    TRY(store_documents(domain, before.get(), std::move(list), after));
  }
  report.version = after->origin().version;
  report.passages = after->documents()->passages_of(*after->documents()->find_document(report.document));
  report.seconds = base::ms_between(begin, clock_.now()) / 1e3;
  return report;
}

base::Status Library::forget_document(const std::string& domain, const std::string& name) {
  TRY(check_domain_name(domain));
  TRY_ASSIGN(const auto lock, folder_.lock(domain));
  refresh();
  TRY_ASSIGN(const auto before, find(domain));
  Documents::List list;
  if (before->documents() != nullptr) list = before->documents()->list();
  const auto gone = std::erase_if(list, [&](const auto& document) { return document->name == name; });
  if (gone == 0) {
    return base::Error{base::Code::kNotFound, fmt::format("domain {} has no document \"{}\"", domain, name),
                       "name"};
  }
  std::shared_ptr<const Domain> after;
  return store_documents(domain, before.get(), std::move(list), after);
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
  TRY_ASSIGN(const auto lock, folder_.lock(origin.name));
  TRY_ASSIGN(pack, with_keys_of_this_space(std::move(pack)));
  origin.space = pack->origin().space;
  origin.version = new_version();  // a version never comes back: answers were cached under it
  const auto domain = std::make_shared<const Domain>(origin, pack->slots(), pack->documents());
  TRY(store(domain));
  return info_of(*domain);
}

}  // namespace pmt::knowledge_cache
