// A model's calibration, made in slices between its requests' steps (note 0034): while nobody asks, one slice after
// the other; beside requests, no more of the time than their own steps take.
//
// Invariants:
//   1. A slice ends near its budget: a step of the calibrator that would pass it isn't begun.
//   2. Beside requests, slices take at most the time that steps took, counted in debt: a stream's time a token at most
//      doubles, over some tokens.
//   3. A request that is short of pages gets the calibrator's first.
// Thread-safety: status() from any thread; the rest is the scheduler's thread's. What the calibrator's own error ends is
// the calibration, with a warning; requests are scored without one then.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "compression/calibration.h"
#include "compression/calibrator.h"
#include "inference/local_model.h"

namespace pmt::inference {

class BackgroundCalibration {
 public:
  /// All of it outlives it. Begun already where an earlier process was at it, or the model's requests are compressed by
  /// default.
  BackgroundCalibration(model::Transformer& transformer, const model::Vocab& vocab, kv_cache::PagePool& pool,
                        std::optional<compression::Calibration> known, const LocalModelOptions& options,
                        const base::Clock& clock);

  /// Null until it is there. Stays where it is.
  const model::KvPredictor* predictor() const { return known_ ? &known_->predictor : nullptr; }
  /// A request came that would be better off with it.
  void want();

  /// Neither done nor failed.
  bool begun() const { return calibrator_ != nullptr; }
  /// Whether a slice could do something now.
  bool has_work() const { return calibrator_ != nullptr && clock_.now() >= next_try_; }
  /// How long to sleep when nobody asks: none, nothing is to be done.
  std::optional<base::Nanos> pause() const;
  /// How many of the pool's large pages must be free for the next slice.
  std::size_t pages_wanted() const { return calibrator_ ? calibrator_->pages_wanted() : 0; }

  void run_alone();
  /// After a step of requests that took so long.
  void run_beside(base::Nanos step);
  /// Frees the pages that it holds.
  void give_back();

  CalibrationStatus status() const;

 private:
  void slice(base::Nanos budget);
  int tokens_for(base::Nanos budget) const;
  void finish();
  void fail(const std::string& why);
  void publish(CalibrationStatus::State state);

  model::Transformer& transformer_;
  const model::Vocab& vocab_;
  kv_cache::PagePool& pool_;
  const LocalModelOptions& options_;
  const base::Clock& clock_;

  std::optional<compression::Calibration> known_;
  std::unique_ptr<compression::Calibrator> calibrator_;  // while there is something to do
  bool failed_ = false;
  base::Nanos next_try_{0};
  base::Nanos credit_{0};  // time of requests' steps that slices haven't taken; may be a debt
  // The last step that took tokens through the model.
  int step_tokens_ = 0;
  base::Nanos step_time_{0};
  // Since this process began.
  base::Nanos spent_{0};
  double progress_first_ = 0;

  mutable std::mutex mutex_;
  CalibrationStatus status_;  // under mutex_
};

}  // namespace pmt::inference
