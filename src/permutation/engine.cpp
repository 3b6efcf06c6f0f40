#include "permutation/engine.h"

#include <utility>

#include "permutation/trace.h"

namespace pmt::permutation {
namespace {

using response_cache::Observation;

/// The student's name and versions are in the key: another student's answer is another answer.
response_cache::CachedCompleterOptions cache_options(const EngineOptions& options) {
  return {.model = kModelName,
          .versions = {{"student", options.student_model}, {"versions", options.versions}},
          .price = options.price,
          .usage = options.response_cache_usage,
          .semantic = options.semantic};
}

/// Between the cascade and the caller: passes everything on, and writes the engine's report into Done.
class ReportingSink final : public llm::Sink {
 public:
  struct About {
    std::string student_model;
    bool want_trace = false;
  };
  ReportingSink(std::shared_ptr<llm::Sink> sink, const base::Clock& clock, About about)
      : sink_(std::move(sink)), clock_(clock), about_(std::move(about)), began_at_(clock.now()) {}

  std::shared_ptr<Observation> observation() const { return observation_; }

  void on_event(llm::Event event) override {
    if (auto* started = std::get_if<llm::Started>(&event)) started->model = kModelName;
    if (auto* done = std::get_if<llm::Done>(&event)) report(*done);
    sink_->on_event(std::move(event));
  }

 private:
  void report(llm::Done& done) const {
    const Outcome outcome{.cache = done.report.cache.value_or(llm::CacheReport{}),
                          .seen = *observation_,
                          .usage = done.usage,
                          .student_model = about_.student_model,
                          .total_ms = base::ms_between(began_at_, clock_.now())};
    done.report.engine = {{"metadata", metadata_json(outcome)}};
    if (about_.want_trace) done.report.engine["trace"] = trace_json(outcome);
  }

  const std::shared_ptr<llm::Sink> sink_;
  const base::Clock& clock_;
  const About about_;
  const base::Nanos began_at_;
  const std::shared_ptr<Observation> observation_ = std::make_shared<Observation>();
};

}  // namespace

Engine::Engine(llm::Completer& student, response_cache::ResponseCache& cache, const base::Clock& clock,
               EngineOptions options)
    : clock_(clock),
      student_model_(options.student_model),
      student_(student, options.student_model),
      cached_(student_, cache, clock, cache_options(options)) {}

void Engine::start(llm::Request request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) {
  if (request.surface != base::Surface::kUnified) request.surface = base::Surface::kPermutation;
  auto reporting = std::make_shared<ReportingSink>(std::move(sink), clock_,
                                                   ReportingSink::About{student_model_, request.want_trace});
  auto observation = reporting->observation();
  cached_.start_observed(std::move(request), std::move(reporting), std::move(cancel), std::move(observation));
}

}  // namespace pmt::permutation
