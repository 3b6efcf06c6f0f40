#include "response_cache/cached_completer.h"

#include <functional>
#include <utility>

#include "base/guard.h"
#include "response_cache/store/canonical_key.h"

namespace pmt::response_cache {
namespace {

bool reads(llm::CacheMode mode) {
  return mode == llm::CacheMode::kOn || mode == llm::CacheMode::kReadOnly;
}

/// Why this request can have nothing to do with the cache; "" if it can.
std::string reason_to_bypass(const llm::Request& request) {
  const llm::CacheOptions& cache = request.cache;
  if (cache.mode == llm::CacheMode::kOff) return "cache mode off";
  if (cache.reusable) return *cache.reusable ? "" : "reusable is false";
  const bool repeatable = request.sampling.temperature == 0 || request.sampling.seed;
  return repeatable ? "" : "temperature > 0 and no seed";
}

void fail_not_cached(llm::Sink& sink, const std::string& why) {
  sink.on_event(llm::Failed{
      base::Error{base::Code::kUnprocessable,
                  "only-if-cached was asked, but " + why + "; ask without it to have the answer computed",
                  "permutation.cache"}});
}

/// Marks a stream as not from the cache.
class BypassSink final : public llm::Sink {
 public:
  BypassSink(std::string why, std::shared_ptr<llm::Sink> sink, std::function<void(const llm::Usage&)> on_done)
      : why_(std::move(why)), sink_(std::move(sink)), on_done_(std::move(on_done)) {}

  void on_event(llm::Event&& event) override {
    if (auto* started = std::get_if<llm::Started>(&event)) started->cache = report();
    if (auto* done = std::get_if<llm::Done>(&event)) {
      done->report.cache = report();
      if (on_done_) on_done_(done->usage);
    }
    sink_->on_event(std::move(event));
  }

 private:
  llm::CacheReport report() const { return cache_report(llm::CacheStatus::kBypass, "", why_); }

  const std::string why_;
  const std::shared_ptr<llm::Sink> sink_;
  const std::function<void(const llm::Usage&)> on_done_;
};

/// Hands the answer of a question to the semantic tier, before the caller has its end: whoever then asks the same in
/// other words finds it.
class LearningSink final : public llm::Sink {
 public:
  LearningSink(SemanticTier& tier, std::shared_ptr<SemanticTier::Pending> pending, const Key& key,
               std::optional<double> similarity, std::shared_ptr<llm::Sink> sink)
      : tier_(tier),
        pending_(std::move(pending)),
        key_(key),
        similarity_(similarity),
        sink_(std::move(sink)) {}

  void on_event(llm::Event&& event) override {
    recorder_.add(event);
    auto* const done = std::get_if<llm::Done>(&event);
    if (done == nullptr) return sink_->on_event(std::move(event));
    const auto status = done->report.cache ? done->report.cache->status : llm::CacheStatus::kBypass;
    if (done->report.cache) done->report.cache->similarity = similarity_;
    if (!done->transient) (void)base::guarded({base::Thread::kSemantic}, [&] { hand_in(status); });
    sink_->on_event(std::move(event));
  }

 private:
  void hand_in(llm::CacheStatus status) {
    if (status == llm::CacheStatus::kMiss) return tier_.computed(pending_, key_, recorder_.take());
    // From the shared tier, or of a request beside this one: if nobody has handed it in yet.
    const bool elsewhere = status == llm::CacheStatus::kHit || status == llm::CacheStatus::kCoalesced;
    if (elsewhere) tier_.found(pending_, key_, recorder_.take());
  }

  SemanticTier& tier_;
  const std::shared_ptr<SemanticTier::Pending> pending_;
  const Key key_;
  const std::optional<double> similarity_;
  const std::shared_ptr<llm::Sink> sink_;
  Recorder recorder_;
};

}  // namespace

CachedCompleter::CachedCompleter(llm::Completer& inner, ResponseCache& cache, const base::Clock& clock,
                                 CachedCompleterOptions options)
    : inner_(inner),
      cache_(cache),
      clock_(clock),
      model_(options.model),
      versions_(std::move(options.versions)),
      semantic_(options.semantic),
      key_(options.key),
      settle_knowledge_(std::move(options.settle_knowledge)),
      flights_(inner, cache, clock, {std::move(options.model), std::move(options.price), options.usage}) {}

void CachedCompleter::start(llm::Request&& request, std::shared_ptr<llm::Sink> sink,
                            base::CancelToken cancel) {
  start_observed(std::move(request), std::move(sink), std::move(cancel), nullptr);
}

void CachedCompleter::bypass(llm::Request request, std::string why, std::shared_ptr<llm::Sink> sink,
                             base::CancelToken cancel, std::shared_ptr<Observation> observation) {
  if (request.cache.only_if_cached) return fail_not_cached(*sink, "this request is not cached: " + why);
  std::function<void(const llm::Usage&)> observe;
  if (observation) {
    observation->computations = 1;
    observe = [this, observation, request, began = clock_.now()](const llm::Usage& usage) {
      observation->compute_ms = base::ms_between(began, clock_.now());
      observation->usd = flights_.price(request, usage);
    };
  }
  auto marked = std::make_shared<BypassSink>(std::move(why), std::move(sink), std::move(observe));
  inner_.start(std::move(request), std::move(marked), std::move(cancel));
}

std::string CachedCompleter::why_missed(const Found& found, const RequestParts& parts) const {
  switch (found.why) {
    case Miss::kExpired:
      return "the entry under this key has expired";
    case Miss::kTooOld:
      return "the entry under this key is older than max_age_s";
    case Miss::kNoAnswer:
      return "the key holds a computation result, not an answer";
    case Miss::kAbsent:
      break;
  }
  return seen_.explain(parts);
}

void CachedCompleter::start_observed(llm::Request request, std::shared_ptr<llm::Sink> sink,
                                     base::CancelToken cancel, std::shared_ptr<Observation> observation) {
  if (std::string why = reason_to_bypass(request); !why.empty()) {
    return bypass(std::move(request), std::move(why), std::move(sink), std::move(cancel),
                  std::move(observation));
  }
  const llm::CacheMode mode = request.cache.mode;
  const base::Nanos began = observation ? clock_.now() : base::Nanos(0);
  if (settle_knowledge_) settle_knowledge_(request);
  const Key key = request_key(request, model_, versions_, key_);
  const LookupOptions wanted{.max_age_s = request.cache.max_age_s,
                             .stale_s = request.cache.stale_while_revalidate_s.value_or(0),
                             .answers_only = true,
                             .asker = asker_of(request.engine_call)};
  const Found found = reads(mode) ? cache_.tiers().find(key, wanted) : Found{};
  if (observation) observation->lookup_ms = base::ms_between(began, clock_.now());
  if (found) {
    flights_.replay_hit(key, *found.entry, {.stale = found.stale}, request, *sink);
    if (found.stale && !request.cache.only_if_cached && mode == llm::CacheMode::kOn) {
      flights_.refresh({.request = std::make_shared<const llm::Request>(std::move(request)),
                        .key = key,
                        .observation = nullptr});
    }
    return;
  }
  const RequestParts parts = parts_of(request, model_, versions_);
  std::string why = reads(mode) ? why_missed(found, parts) : "this cache mode does not read the cache";
  Missed missed{.request = std::move(request),
                .sink = std::move(sink),
                .cancel = std::move(cancel),
                .observation = std::move(observation),
                .key = key,
                .why = std::move(why),
                .parts = parts};
  if (semantic_ != nullptr && missed.request.cache.semantic_error_max && reads(mode)) {
    missed.question = SemanticTier::question_of(missed.request, model_, versions_, key_);
    if (missed.question) return ask_semantic(std::move(missed));
    missed.why += "; semantic: the request ends in no text of a user";
  }
  compute(std::move(missed));
}

/// `found`: another question's entry, which answers it; null: a miss.
void CachedCompleter::end_lookup(const Missed& missed, const EntryPtr& found) {
  LookupEnd end{.asker = asker_of(missed.request.engine_call),
                .who = {.model = model_, .tenant = missed.request.tenant, .key = {}}};
  if (found != nullptr) {
    end.ending = Ending::kSemantic;
    end.tokens = found->meta.tokens;
    end.usd = found->meta.usd;
  }
  cache_.end_lookup(missed.key, end);
}

void CachedCompleter::ask_semantic(Missed missed) {
  const llm::CacheOptions& cache = missed.request.cache;
  const SemanticTier::Ask ask{
      .error_max = *cache.semantic_error_max, .shadow = cache.semantic_shadow, .max_age_s = cache.max_age_s};
  SemanticTier::Question question = *missed.question;
  const auto shared = std::make_shared<Missed>(std::move(missed));
  semantic_->look_up(std::move(question), ask, [this, shared](SemanticTier::Decision decision) {
    if (shared->cancel.cancelled()) {
      end_lookup(*shared);
      return shared->sink->on_event(llm::Failed{base::Error{base::Code::kCancelled, "the caller left"}});
    }
    if (decision.entry != nullptr) {
      // The entry is used; it is a hit also where it went meanwhile.
      (void)cache_.tiers().find_in_ram(decision.key, {.answers_only = true, .asker = Asker::kNobody});
      end_lookup(*shared, decision.entry);
      if (!shared->request.engine_call) decision.entry->hits.add();
      const SingleFlight::Hit hit{.stale = false, .similarity = decision.similarity};
      flights_.replay_hit(decision.key, *decision.entry, hit, shared->request, *shared->sink);
      return;
    }
    shared->why += "; semantic: " + decision.why;
    if (decision.pending != nullptr && shared->request.cache.mode != llm::CacheMode::kReadOnly) {
      shared->sink = std::make_shared<LearningSink>(*semantic_, std::move(decision.pending), shared->key,
                                                    decision.similarity, std::move(shared->sink));
    }
    compute(std::move(*shared));
  });
}

void CachedCompleter::compute(Missed missed) {
  const llm::CacheMode mode = missed.request.cache.mode;
  if (missed.request.cache.only_if_cached) {
    if (reads(mode)) end_lookup(missed);
    return fail_not_cached(*missed.sink,
                           "the cache has no answer to this request that may be used (" + missed.why + ")");
  }
  if (mode != llm::CacheMode::kReadOnly) seen_.add(missed.parts);
  const auto question = missed.question.value_or(SemanticTier::Question{});
  const auto waiter = std::make_shared<Waiter>(
      flights_,
      Waiter::Job{.request = std::make_shared<const llm::Request>(std::move(missed.request)),
                  .key = missed.key,
                  .writes = mode != llm::CacheMode::kReadOnly,
                  .looked_up = reads(mode),
                  .question = question.text,
                  .semantic_scope = missed.question ? question.scope.hex() : "",
                  .why = std::move(missed.why),
                  .observation = std::move(missed.observation)},
      std::move(missed.sink), std::move(missed.cancel));
  waiter->watch_cancel();
  // What a budget cuts short is nobody else's answer.
  const llm::Budget& budget = waiter->job().request->budget;
  const bool bounded = budget.seconds || budget.tokens || budget.usd;
  if (reads(mode) && !bounded) {
    flights_.join(waiter);
  } else {
    flights_.lead_alone(waiter);
  }
}

}  // namespace pmt::response_cache
