#include "permutation/engine.h"

#include <utility>

#include "permutation/trace.h"

namespace pmt::permutation {
namespace {

using response_cache::Observation;

/// What decides who answers is in the key: another teacher or threshold may give another answer.
response_cache::CachedCompleterOptions cache_options(const CascadeOptions& options) {
  nlohmann::json versions = {{"student", options.student.name},
                             {"teacher", options.teacher.name},
                             {"escalation", to_string(options.policy.escalation)},
                             {"confidence_min", options.policy.confidence_min},
                             {"student_probability_min", options.policy.student_probability_min},
                             {"probe_tokens", options.policy.probe_tokens},
                             {"agreement_samples", options.policy.agreement_samples},
                             {"explore", options.explore},
                             {"synthesis", options.policy.synthesis},
                             {"kv_ratio", options.kv_ratio},
                             {"versions", options.versions}};
  return {.model = kModelName,
          .versions = std::move(versions),
          .price = {},  // the cascade says itself what it cost
          .usage = options.response_cache_usage,
          .semantic = options.semantic,
          .key = {.forwards = options.forwards()},
          .settle_knowledge = options.settle_knowledge};
}

/// Between the cascade and the caller: passes everything on, and completes the engine's report in Done.
class ReportingSink final : public llm::Sink {
 public:
  ReportingSink(std::shared_ptr<llm::Sink> sink, const base::Clock& clock, bool want_trace)
      : sink_(std::move(sink)), clock_(clock), want_trace_(want_trace), began_at_(clock.now()) {}

  std::shared_ptr<Observation> observation() const { return observation_; }

  void on_event(llm::Event&& event) override {
    if (auto* started = std::get_if<llm::Started>(&event)) started->model = kModelName;
    if (const auto* delta = std::get_if<llm::Delta>(&event);
        delta != nullptr && want_trace_ && delta->choice == 0) {
      answer_ += delta->text;
    }
    if (auto* done = std::get_if<llm::Done>(&event)) report(*done);
    sink_->on_event(std::move(event));
  }

 private:
  void report(llm::Done& done) {
    const Lookup lookup{.cache = done.report.cache.value_or(llm::CacheReport{}),
                        .seen = *observation_,
                        .total_ms = base::ms_between(began_at_, clock_.now())};
    done.report.engine = engine_report(done.report.engine, lookup, want_trace_, std::exchange(answer_, {}));
  }

  const std::shared_ptr<llm::Sink> sink_;
  const base::Clock& clock_;
  const bool want_trace_;
  const base::Nanos began_at_;
  std::string answer_;
  const std::shared_ptr<Observation> observation_ = std::make_shared<Observation>();
};

}  // namespace

Engine::Engine(CascadeOptions options, response_cache::ResponseCache& cache, const base::Clock& clock)
    : clock_(clock),
      cascade_(std::move(options), cache, clock),
      cached_(cascade_, cache, clock, cache_options(cascade_.options())) {}

void Engine::start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) {
  if (request.surface != base::Surface::kUnified) request.surface = base::Surface::kPermutation;
  // Before the cache makes its key of them. The unified pipeline has decided for itself.
  const auto& offer = cascade_.options().offer_knowledge;
  if (offer && request.knowledge.empty() && request.surface != base::Surface::kUnified) offer(request);
  auto reporting = std::make_shared<ReportingSink>(std::move(sink), clock_, request.want_trace);
  auto observation = reporting->observation();
  cached_.start_observed(std::move(request), std::move(reporting), std::move(cancel), std::move(observation));
}

}  // namespace pmt::permutation
