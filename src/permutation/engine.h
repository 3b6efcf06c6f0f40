// PermutationEngine, model name `permutation`: a cascade of stages, each of which may answer.
//
//   response cache  ->  router -> student -> confidence -> teacher -> synthesis, or fallback  ->  store
//
// The answer streams through as it is made. Its report carries engine.metadata {domain, irt_difficulty,
// irt_probability, quality_score, answered_by, degraded, components_used, cost, tokens, duration_ms,
// student_model, teacher_model, student_calls, teacher_calls, ...} and, if asked for, engine.answer,
// engine.reasoning and engine.trace {steps, total_duration_ms, errors} with a step {component, description,
// input, output, duration_ms, status, metadata} for each stage: true durations by the clock, and for this
// request only: an answer from the cache shows a lookup and no student.
//
// Errors: as the cascade's; a failed stream has no report.
// Thread-safety: start from any thread. What the options name outlives this, and this outlives every
// request's terminal event.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "llm/completer.h"
#include "permutation/cascade.h"
#include "response_cache/cached_completer.h"

namespace pmt::permutation {

inline constexpr char kModelName[] = "permutation";

class Engine final : public llm::Completer {
 public:
  Engine(CascadeOptions options, response_cache::ResponseCache& cache, const base::Clock& clock);

  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override;
  const Cascade& cascade() const { return cascade_; }

 private:
  const base::Clock& clock_;
  Cascade cascade_;
  response_cache::CachedCompleter cached_;
};

}  // namespace pmt::permutation
