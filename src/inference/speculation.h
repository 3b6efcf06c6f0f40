// Drafts of the answers that run: from the text itself (prompt_lookup.h), and where that has none from a smaller
// model, if there is one (drafting.h); when they are made, and what came of them.
//
// Drafts ride along for little while a step is bound by reading the weights (how much is measured); with many
// answers in the batch it is bound by arithmetic, and every draft takes time from somebody.
// Thread-safety: the scheduler's thread.
#pragma once

#include <memory>
#include <utility>

#include "inference/drafting.h"
#include "inference/engine_counters.h"
#include "inference/job.h"
#include "inference/prompt_lookup.h"

namespace pmt::inference {

class Speculation {
 public:
  /// All of them outlive it. `model` may be null.
  Speculation(const LocalModelOptions& options, const base::Clock& clock, EngineCounters& counters,
              std::unique_ptr<Drafting> model)
      : options_(&options), clock_(&clock), counters_(&counters), model_(std::move(model)) {}

  /// Drafts for every answer, if few enough run. An answer whose draft throws has none.
  void draft(const Jobs& running);
  /// A step of one answer alone took `seconds`.
  void observe(int drafts, double seconds);
  /// The choice's rows were sampled: counts its drafts, and forgets those that didn't come true.
  void settle(Job& job, PagedGeneration& generation);

 private:
  void draft_by_model(const Job& job, PagedGeneration& generation);

  const LocalModelOptions* options_;
  const base::Clock* clock_;
  EngineCounters* counters_;
  StepClock step_clock_;
  std::unique_ptr<Drafting> model_;  // null: none
};

void forget_drafts(const Jobs& running);

}  // namespace pmt::inference
