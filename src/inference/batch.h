// One step's batch: whose tokens are in it, and where their logits are. Thread-safety: the scheduler's thread.
#pragma once

#include <cstddef>
#include <vector>

#include "inference/batch_builder.h"
#include "inference/job.h"
#include "model/transformer.h"

namespace pmt::inference {

/// One span of a step, and whose it is.
struct Part {
  Job* job;
  std::size_t generation;
  int tokens;
  bool samples;                 // the span reaches the choice's last token
  std::size_t rows = 0;         // of logits, to sample from
  std::size_t scored_rows = 0;  // of logits before those: they tell of the prompt's own tokens

  /// False: its job has failed since, and has no choices.
  bool lives() const { return generation < job->running.size(); }
  /// Requires: lives().
  PagedGeneration& choice() const { return job->running[generation]; }
};

/// What the next step reads of the jobs that run.
std::vector<Part> choose_parts(const Jobs& running, const BatchLimits& limits);

/// The part as the model reads it; sets its rows.
model::BatchSpan span_of(Part& part);

}  // namespace pmt::inference
