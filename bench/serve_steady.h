// bench serve's first part: answers that are all being written at once, one token each a step, in the memory of eight
// f16 sequences of the same context.
//
// An exact sequence has a prompt of its own tenant, read before and found again. A compressed one goes on from one
// prompt that was read before, whose pages it then replaces by its own share of them. So all of them begin within a
// few steps, and hold pages that no other one holds; the prompt itself lies beside the memory that is shared out.
// Thread-safety: one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "bench/serve_engine.h"

namespace pmt::bench {

struct SteadyOptions {
  std::string model_path;
  ModelFacts facts;
  int threads = 1;
  int context_tokens = 6144;
  bool exact_only = false;  // calibrates nothing
};

struct SteadyOutcome {
  int sequences = 0;
  double step_s = 0;
  double kv_bytes = 0;  // that all of them hold, with room for their answers
};

class SteadyDecode {
 public:
  explicit SteadyDecode(const SteadyOptions& options);

  /// As many sequences as fit at this ratio. Ends the process where an answer ended too early to be counted.
  SteadyOutcome run(double ratio);
  /// Tokens that a full batch without context multiplies a second.
  double matmul_rate();
  double weight_bytes() const { return static_cast<double>(engine_.model().info().file_bytes); }

 private:
  Question question(double ratio, int sequence) const;
  void read_before(int sequences, double ratio);

  const SteadyOptions options_;
  const std::size_t exact_bytes_;  // of one sequence
  ServeEngine engine_;
  bool shared_is_read_ = false;
};

/// llama.cpp's eight: tokens a second.
double llama_steady(const SteadyOptions& options, bool flash);

}  // namespace pmt::bench
