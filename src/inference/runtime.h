// What runs a local model's jobs: our graph over our pages (scheduler.h), or libllama over its own memory
// (libllama/llama_runtime.h). All that is in front of it, from the request to the job, is the same.
// Thread-safety: any thread. Errors: submit's name the request's field where it is the request's fault.
#pragma once

#include <memory>

#include "base/result.h"
#include "inference/job.h"
#include "inference/local_model.h"

namespace pmt::inference {

class Runtime {
 public:
  virtual ~Runtime() = default;

  /// Takes the job, which then gets exactly one terminal event, or says why not (kTooLarge: it could never fit;
  /// kUnavailable: too many wait).
  virtual base::Status submit(std::unique_ptr<Job> job) = 0;
  /// How many new tokens each of `choices` answers to a prompt of `prompt_tokens`, compressed `kv_ratio` times,
  /// could have if nothing else ran.
  virtual int new_tokens_that_fit(int prompt_tokens, int choices, double kv_ratio) const = 0;

  /// Without the forms, which are compiled before a runtime sees them.
  virtual EngineStats stats() const = 0;
  virtual KvPoolStats kv_stats() const = 0;
  virtual CalibrationStatus calibration() const = 0;
};

}  // namespace pmt::inference
