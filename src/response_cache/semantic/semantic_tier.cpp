#include "response_cache/semantic/semantic_tier.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/guard.h"
#include "base/utf8.h"
#include "response_cache/store/canonical_key.h"

namespace pmt::response_cache {

struct SemanticTier::Pending {
  Question question;
  text::Question facts;
  std::vector<float> vector;
  std::optional<Match::Candidate> candidate;
  std::string candidate_question, candidate_answer;
  bool could_serve = false, shadow_hit = false;
};

namespace {

constexpr std::uint64_t kOnItsWay = 0;  // an id that the index gives to nobody

/// Answers may differ in case, space and final punctuation.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (space && (out.empty() || out.back() == ' ')) continue;
    out += space ? ' ' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  while (!out.empty() && (out.back() == ' ' || out.back() == '.' || out.back() == '!')) out.pop_back();
  return out;
}

double cosine_of_two(const llm::Embeddings& two) {
  double sum = 0;
  for (std::size_t i = 0; i < two.width; ++i) {
    sum += static_cast<double>(two.values[i]) * two.values[two.width + i];
  }
  return sum;
}

/// Enough of a long answer to tell whether it says the same, and within what the embedder takes.
std::string beginning(const std::string& text) {
  constexpr std::size_t kBytes = 800;
  return std::string(base::cut_utf8(text, kBytes));
}

std::string percent(double p) {
  return fmt::format("{:.1f}%", 100 * p);
}

}  // namespace

std::string answer_text(const RecordedAnswer& answer) {
  std::string text;
  for (const llm::Event& event : answer.events) {
    if (const auto* delta = std::get_if<llm::Delta>(&event)) text += delta->text;
    if (const auto* end = std::get_if<llm::ChoiceEnd>(&event)) {
      for (const std::string& call : end->tool_calls) text += call;
    }
  }
  return text;
}

SemanticTier::SemanticTier(llm::Embedder& embedder, ResponseCache& cache, const base::Clock& clock,
                           Options options)
    : embedder_(embedder),
      cache_(cache),
      clock_(clock),
      options_(std::move(options)),
      matcher_(options_.index, rule_),
      generator_(std::random_device{}()) {}

SemanticTier::~SemanticTier() {
  stopping_ = true;
  if (restorer_.joinable()) restorer_.join();
}

std::optional<SemanticTier::Question> SemanticTier::question_of(const llm::Request& request,
                                                                std::string_view resolved_model,
                                                                const nlohmann::json& versions,
                                                                KeyOptions options) {
  llm::Request rest = request;
  std::string text;
  if (request.endpoint == llm::Endpoint::kChat) {
    if (request.messages.empty() || request.messages.back().role != "user") return std::nullopt;
    text = std::exchange(rest.messages.back().content, std::string());
  } else {
    if (!request.prompt_tokens.empty()) return std::nullopt;
    text = std::exchange(rest.prompt, std::string());
  }
  if (plain(text).empty()) return std::nullopt;
  for (llm::Message& message : rest.messages) message.reasoning.clear();  // thoughts ask nothing
  return Question{
      .scope = base::sha256("semantic scope " + canonical_request(rest, resolved_model, versions, options)),
      .text = std::move(text),
      .who = {.model = std::string(resolved_model), .tenant = request.tenant, .key = {}}};
}

SemanticCounts& SemanticCounts::operator+=(const SemanticCounts& other) {
  lookups += other.lookups;
  shadow_hits += other.shadow_hits;
  explored += other.explored;
  failed += other.failed;
  agreed += other.agreed;
  disagreed += other.disagreed;
  shadow_wrong += other.shadow_wrong;
  compared += other.compared;
  wrong += other.wrong;
  judged_same += other.judged_same;
  judged_different += other.judged_different;
  return *this;
}

void SemanticTier::count(const Pending& pending, std::uint64_t SemanticCounts::*what) {
  counts_.change(pending.question.who.view(), [what](SemanticCounts& counts) { ++(counts.*what); });
}

void SemanticTier::count(const base::User& who, std::uint64_t SemanticCounts::*what, int change) {
  counts_.change(who.view(), [=](SemanticCounts& counts) {
    counts.*what += static_cast<std::uint64_t>(static_cast<std::int64_t>(change));
  });
}

double SemanticTier::draw() {
  if (options_.random) return options_.random();
  const std::lock_guard lock(mutex_);
  return std::uniform_real_distribution<double>()(generator_);
}

void SemanticTier::look_up(Question question, Ask ask, std::function<void(Decision)> done) {
  std::call_once(restored_, [this] {
    if (cache_.tiers().disk() != nullptr) {
      restorer_ = std::thread([this] { base::survives({base::Thread::kSemantic}, [this] { restore(); }); });
    }
  });
  auto pending = std::make_shared<Pending>();
  pending->question = std::move(question);
  std::vector<llm::EmbedInput> inputs{{.text = pending->question.text}};
  embedder_.embed_async(std::move(inputs), {},
                        [this, pending, ask, done = std::move(done),
                         began = clock_.now()](base::Result<llm::Embeddings> embedded) {
                          count(*pending, &SemanticCounts::lookups);
                          if (!embedded) count(*pending, &SemanticCounts::failed);
                          {
                            const std::lock_guard lock(mutex_);
                            stats_.embed_ms += base::ms_between(began, clock_.now());
                          }
                          Decision decision;
                          const base::Status decided = base::guarded({base::Thread::kSemantic}, [&] {
                            if (!embedded) {
                              decision.why =
                                  "the question could not be embedded: " + embedded.error().message;
                              return;
                            }
                            pending->vector = std::move(embedded->values);
                            pending->facts = text::question_of(pending->question.text);
                            decision = decide(pending, ask);
                          });
                          if (!decided) {
                            decision = {};
                            decision.why = decided.error().message;
                          }
                          done(std::move(decision));
                        });
}

/// Null, and out of the index, if the cache no longer has it; null also if it is too old for this request.
std::shared_ptr<const Entry> SemanticTier::entry_of(const Match::Candidate& candidate,
                                                    std::optional<double> max_age_s) {
  auto entry = cache_.tiers().peek(candidate.key);
  if (entry == nullptr || !std::holds_alternative<RecordedAnswer>(entry->value.content)) {
    matcher_.remove(candidate.id);
    const std::lock_guard lock(mutex_);
    if (const auto found = ids_.find(candidate.key); found != ids_.end() && found->second == candidate.id) {
      ids_.erase(found);
    }
    ++stats_.dropped;
    return nullptr;
  }
  const double age_s = std::chrono::duration<double>(clock_.now() - entry->stored_at).count();
  return max_age_s && age_s > *max_age_s ? nullptr : entry;
}

SemanticTier::Decision SemanticTier::decide(const std::shared_ptr<Pending>& pending, const Ask& ask) {
  constexpr int kTries = 8;  // each drops an entry that is gone
  Decision decision;
  decision.pending = pending;
  Match match;
  std::shared_ptr<const Entry> entry;
  for (int i = 0; i < kTries && entry == nullptr; ++i) {
    match = matcher_.match(pending->question.scope, pending->facts, pending->vector, ask.error_max);
    if (!match.best) break;
    const std::size_t before = matcher_.size();
    entry = entry_of(*match.best, ask.max_age_s);
    if (entry == nullptr && matcher_.size() == before) {
      decision.why = "the nearest question's answer is older than max_age_s";
      return decision;
    }
  }
  if (match.nearest_cosine == 0) {
    decision.why = "no other question of this scope is cached";
    return decision;
  }
  {
    const std::lock_guard lock(mutex_);
    ++stats_.vetoed[static_cast<std::size_t>(match.nearest_veto)];
  }
  if (!match.best || entry == nullptr) {
    decision.similarity = match.nearest_cosine;
    if (match.nearest_barred) {
      decision.why = fmt::format("the nearest question (similarity {:.3f}) was judged to have another answer",
                                 match.nearest_cosine);
      return decision;
    }
    decision.why = fmt::format("the nearest question (similarity {:.3f}) differs in: {}",
                               match.nearest_cosine, text::to_string(match.nearest_veto));
    return decision;
  }
  const Match::Candidate& best = *match.best;
  decision.similarity = best.cosine;
  decision.key = best.key;
  pending->candidate = best;
  pending->candidate_question = entry->meta.question;
  pending->candidate_answer = answer_text(std::get<RecordedAnswer>(entry->value.content));
  pending->could_serve = best.judgement.serve();
  if (!pending->could_serve) {
    decision.why = fmt::format(
        "the nearest question (similarity {:.3f}) has the same answer with chance {}, and "
        "error_max {} asks for {} ({})",
        best.cosine, percent(best.judgement.p), ask.error_max, percent(best.judgement.threshold),
        best.judgement.certified ? "learnt here" : "not enough learnt here yet");
    return decision;
  }
  const bool shadow = ask.shadow || options_.shadow;
  const bool explore = !shadow && draw() < kExploredShare;
  if (shadow) {
    count(*pending, &SemanticCounts::shadow_hits);
    pending->shadow_hit = true;
    decision.why = fmt::format("shadow mode: a question of similarity {:.3f} would have served", best.cosine);
  } else if (explore) {
    count(*pending, &SemanticCounts::explored);
    decision.why = fmt::format("explored: a question of similarity {:.3f} could have served, and is checked",
                               best.cosine);
  } else {
    keep_pair(*pending, SemanticPair::Outcome::kServed, "");
    decision.entry = std::move(entry);
    decision.pending = nullptr;
  }
  return decision;
}

void SemanticTier::add(const Pending& pending, const Key& key, std::uint64_t same_answer_as) {
  const std::uint64_t id = matcher_.add(pending.question.scope, key, pending.facts,
                                        PackedVector::of(pending.vector), same_answer_as);
  std::uint64_t older = 0;
  {
    const std::lock_guard lock(mutex_);
    older = std::exchange(ids_[key], id);
    // The index drops its oldest by itself.
    constexpr std::size_t kSpare = 1000;
    if (ids_.size() > 2 * matcher_.size() + kSpare)
      std::erase_if(ids_, [&](const auto& one) { return !matcher_.contains(one.second); });
  }
  if (older != 0) matcher_.remove(older);
}

void SemanticTier::keep_pair(const Pending& pending, SemanticPair::Outcome outcome,
                             const std::string& computed) {
  pairs_.add({.unix_s = clock_.unix_seconds(),
              .who = pending.question.who,
              .question = pending.question.text,
              .nearest = pending.candidate_question,
              .answer = pending.candidate_answer,
              .computed = computed,
              .could_serve = pending.could_serve,
              .outcome = outcome,
              .candidate = *pending.candidate,
              .facts = pending.facts});
}

void SemanticTier::learn(const Pending& pending, const Key& key, const std::string& computed, bool agree) {
  matcher_.learn(*pending.candidate, agree);
  count(pending, agree ? &SemanticCounts::agreed : &SemanticCounts::disagreed);
  if (pending.shadow_hit && !agree) count(pending, &SemanticCounts::shadow_wrong);
  if (pending.could_serve) count(pending, &SemanticCounts::compared);
  if (pending.could_serve && !agree) count(pending, &SemanticCounts::wrong);
  keep_pair(pending, agree ? SemanticPair::Outcome::kAgreed : SemanticPair::Outcome::kDisagreed, computed);
  add(pending, key, agree ? pending.candidate->id : 0);
}

void SemanticTier::computed(const std::shared_ptr<Pending>& pending, const Key& key,
                            const RecordedAnswer& answer) {
  if (!pending->candidate) return add(*pending, key, 0);
  const std::string text = answer_text(answer);
  if (plain(text) == plain(pending->candidate_answer)) return learn(*pending, key, text, true);
  const std::string a = beginning(text), b = beginning(pending->candidate_answer);
  if (plain(a).empty() || plain(b).empty() ||
      text::difference(text::question_of(a), text::question_of(b)) != text::Difference::kNone) {
    return learn(*pending, key, text, false);
  }
  std::vector<llm::EmbedInput> inputs{{.text = a}, {.text = b}};
  embedder_.embed_async(std::move(inputs), {},
                        [this, pending, key, text](const base::Result<llm::Embeddings>& two) {
                          constexpr double kSameAnswer = 0.9;
                          if (!two) return add(*pending, key, 0);
                          learn(*pending, key, text, cosine_of_two(*two) >= kSameAnswer);
                        });
}

void SemanticTier::found(const std::shared_ptr<Pending>& pending, const Key& key,
                         const RecordedAnswer& answer) {
  {
    const std::lock_guard lock(mutex_);
    const auto [place, is_new] = ids_.try_emplace(key, kOnItsWay);
    if (!is_new && (place->second == kOnItsWay || matcher_.contains(place->second))) return;
    place->second = kOnItsWay;
  }
  computed(pending, key, answer);
}

/// The rule and the counters, from what was known of a pair's answers to what is known now.
void SemanticTier::move_labels(const SemanticPair& before, const SemanticPair& after) {
  const auto count_label = [&](bool same, int change) {
    change > 0 ? matcher_.learn(after.candidate, same) : matcher_.unlearn(after.candidate, same);
    if (!after.could_serve) return;
    count(after.who, &SemanticCounts::compared, change);
    if (!same) count(after.who, &SemanticCounts::wrong, change);
  };
  if (before.same() != after.same()) {
    if (const auto was = before.same()) count_label(*was, -1);
    if (const auto is = after.same()) count_label(*is, 1);
  }
  const auto count_verdict = [&](Verdict verdict, int change) {
    if (verdict == Verdict::kSame) count(after.who, &SemanticCounts::judged_same, change);
    if (verdict == Verdict::kDifferent) count(after.who, &SemanticCounts::judged_different, change);
  };
  count_verdict(before.verdict, -1);
  count_verdict(after.verdict, 1);
}

base::Result<SemanticPair> SemanticTier::judge(const Judging& judging) {
  const std::lock_guard one_at_a_time(judging_);
  SemanticPair before, after;
  bool seen = false, flag = false;
  pairs_.change(judging.id, [&](SemanticPair& pair) {
    seen = !judging.tenant || *judging.tenant == pair.who.tenant;
    if (!seen) return;
    before = pair;
    pair.verdict = judging.verdict;
    flag = judging.verdict == Verdict::kDifferent && pair.outcome == SemanticPair::Outcome::kServed &&
           !std::exchange(pair.flagged, true);
    after = pair;
  });
  if (!seen) return base::Error{base::Code::kNotFound, "There is no such pair among the last ones.", "id"};
  if (before.verdict == after.verdict) return after;
  move_labels(before, after);
  const Key& key = after.candidate.key;
  if (after.verdict != Verdict::kDifferent) {
    matcher_.unbar(key, after.facts);
    return after;
  }
  matcher_.bar(key, after.facts);
  // What engines made of the answer would still give it; made anew it won't be.
  if (after.outcome == SemanticPair::Outcome::kServed)
    cache_.purge({.tenant = after.who.tenant, .made_of = key.hex()});
  if (!flag) return after;
  Entry given;
  given.meta.model = after.who.model;
  given.meta.tenant = after.who.tenant;
  cache_.count_flagged(given);
  return after;
}

/// What durable entries were asked, by the disk's records.
void SemanticTier::restore() {
  std::vector<std::pair<Key, Question>> found;
  cache_.visit({}, [&](const Key& key, const Entry& entry) {
    const auto scope = Scope::of_hex(entry.meta.semantic_scope);
    if (scope && !stopping_) found.emplace_back(key, Question{*scope, entry.meta.question});
  });
  constexpr std::size_t kTogether = 64;
  for (std::size_t i = 0; i < found.size() && !stopping_; i += kTogether) {
    std::vector<llm::EmbedInput> inputs;
    const std::size_t end = std::min(found.size(), i + kTogether);
    for (std::size_t j = i; j < end; ++j) inputs.push_back({.text = found[j].second.text});
    const auto embedded = embedder_.embed(std::move(inputs));
    if (!embedded) return;
    for (std::size_t j = i; j < end; ++j) {
      {
        const std::lock_guard lock(mutex_);
        if (ids_.contains(found[j].first)) continue;
      }
      Pending pending;
      pending.facts = text::question_of(found[j].second.text);
      const float* const row = embedded->values.data() + (j - i) * embedded->width;
      pending.vector.assign(row, row + embedded->width);
      pending.question = std::move(found[j].second);
      add(pending, found[j].first, 0);
    }
  }
}

SemanticStats SemanticTier::stats() const {
  const std::size_t entries = matcher_.size();
  const std::lock_guard lock(mutex_);
  SemanticStats stats = stats_;
  for (const auto& [who, counts] : counts_.all()) stats += counts;
  stats.entries = entries;
  return stats;
}

}  // namespace pmt::response_cache
