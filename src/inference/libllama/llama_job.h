// A job while libllama runs it: its choices, each with its sequence. Thread-safety: the runtime's thread.
#pragma once

#include <list>
#include <memory>
#include <span>
#include <vector>

#include "inference/job.h"
#include "inference/libllama/llama_sequences.h"

namespace pmt::inference {

struct LlamaChoice {
  Generation generation;
  LlamaSequence sequence;  // not open while its job waits

  /// Tokens that the context hasn't read yet.
  std::span<const std::int32_t> pending() const {
    return generation.tokens().subspan(static_cast<std::size_t>(sequence.tokens()));
  }
  std::span<const std::int32_t> read() const {
    return generation.tokens().first(static_cast<std::size_t>(sequence.tokens()));
  }
};

struct LlamaJob {
  std::unique_ptr<Job> job;
  std::vector<LlamaChoice> choices = {};  // not finished yet; none before it begins

  bool has_ended() const { return job->sink == nullptr; }
  /// It runs on, and somebody listens.
  bool is_wanted() const { return !has_ended() && !job->sink->broken() && !job->cancel.cancelled(); }
};

using LlamaJobs = std::list<LlamaJob>;

}  // namespace pmt::inference
