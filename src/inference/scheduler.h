// Continuous batching: one thread runs the model, and every step carries the next token of every running
// choice plus a chunk of the prompts that are still being read (note 0004).
//
// Here is the loop: take what was submitted, admit, step, retire, publish. What its steps consist of has files of its
// own: who runs (admission.h), what a step reads (batch_builder.h, batch.h), what is read once for several
// (prefix_reuse.h), compression (prompt_compressor.h), drafts (speculation.h), how rows become text (answers.h), and
// what callers are told (job_reports.h).
//
// Invariants:
//   1. Only the scheduler's thread touches sequences and the page pool.
//   2. A job is admitted when the pool can hold its whole prompt besides what the running jobs' prompts
//      still need.
//   3. When the pool runs out, the youngest job gives up its pages and reads its tokens again later; the
//      oldest job is never the victim, so something always advances. submit() refuses what couldn't finish
//      even alone.
//   4. Every job gets exactly one terminal event, also on cancellation, shutdown and exceptions, and its
//      pages are free before.
//   5. An exception ends one job: see suspect() for those that come out of a step that several share.
// Thread-safety: submit, new_tokens_that_fit, stats and kv_stats from any thread.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "compression/calibration.h"
#include "inference/admission.h"
#include "inference/answers.h"
#include "inference/background_calibration.h"
#include "inference/batch.h"
#include "inference/engine_counters.h"
#include "inference/job.h"
#include "inference/job_reports.h"
#include "inference/local_model.h"
#include "inference/prefix_reuse.h"
#include "inference/prompt_compressor.h"
#include "inference/runtime.h"
#include "inference/speculation.h"
#include "kv_cache/page_pool.h"
#include "model/transformer.h"

namespace pmt::inference {

class Scheduler final : public Runtime {
 public:
  /// `drafting` may be null: no second model drafts.
  Scheduler(model::Transformer& transformer, const model::Vocab& vocab,
            std::unique_ptr<kv_cache::PagePool> pool, std::optional<compression::Calibration> calibration,
            const LocalModelOptions& options, const base::Clock& clock, std::unique_ptr<Drafting> drafting);
  ~Scheduler() override;

  /// Takes the job or says why not (kTooLarge: its pages could never fit; kUnavailable: the queue is full).
  base::Status submit(std::unique_ptr<Job> job) override;

  /// In an empty pool.
  int new_tokens_that_fit(int prompt_tokens, int choices, double kv_ratio) const override {
    return admission_.new_tokens_that_fit(prompt_tokens, choices, kv_ratio);
  }

  EngineStats stats() const override { return counters_.stats(); }
  KvPoolStats kv_stats() const override;
  CalibrationStatus calibration() const override { return calibration_.status(); }

 private:
  void run();
  bool wait_for_work();
  void turn();
  base::Status begin(Job& job);
  void step();
  void calibrate(base::Nanos step);
  std::span<const float> forward(std::vector<Part>& parts);
  void suspect(const std::vector<Part>& parts);
  void compress_when_read(const std::vector<Part>& parts);
  void compress_decoded(const std::vector<Part>& parts);
  void publish();

  model::Transformer& transformer_;
  const model::Vocab& vocab_;
  const std::unique_ptr<kv_cache::PagePool> pool_;  // before all that holds pages
  const base::Clock& clock_;
  const LocalModelOptions options_;
  const BatchLimits limits_;

  EngineCounters counters_;
  BackgroundCalibration calibration_;
  JobReports reports_;
  PrefixReuse prefixes_;
  PromptCompressor compressor_;
  Speculation speculation_;
  Answers answers_;
  Admission admission_;
  base::Nanos published_{0};

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  Jobs submitted_;         // under mutex_
  KvPoolStats kv_stats_;   // under mutex_
  bool stopping_ = false;  // under mutex_

  std::thread thread_;  // last: everything above is ready when it starts
};

}  // namespace pmt::inference
