#include "inference/background_calibration.h"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/guard.h"

namespace pmt::inference {
namespace {

/// A request that comes meanwhile waits for it.
constexpr base::Nanos kAlone = std::chrono::milliseconds(200);
/// Beside requests, a slice is as long as their last step, within these.
constexpr base::Nanos kBesideMin = std::chrono::milliseconds(5);
constexpr base::Nanos kBesideMax = std::chrono::milliseconds(50);
/// Requests hold the pages that it needs: when it looks again.
constexpr base::Nanos kRetryAfter = std::chrono::milliseconds(250);

constexpr int kTokensFirst = 8;
constexpr int kTokensMax = 128;
/// Below, the rest of the work says little of the time that it takes.
constexpr double kProgressMin = 0.01;

}  // namespace

BackgroundCalibration::BackgroundCalibration(model::Transformer& transformer, const model::Vocab& vocab,
                                             kv_cache::PagePool& pool,
                                             std::optional<compression::Calibration> known,
                                             const LocalModelOptions& options, const base::Clock& clock)
    : transformer_(transformer),
      vocab_(vocab),
      pool_(pool),
      options_(options),
      clock_(clock),
      known_(std::move(known)) {
  if (known_) {
    publish(CalibrationStatus::State::kReady);
    return;
  }
  std::error_code none;
  const std::string begun = compression::state_path_of(options.calibration_path);
  if (options.kv_ratio > 1 || (!begun.empty() && std::filesystem::exists(begun, none))) want();
}

void BackgroundCalibration::want() {
  if (known_ || calibrator_ || failed_ || !options_.calibrates) return;
  calibrator_ = std::make_unique<compression::Calibrator>(
      transformer_, vocab_, pool_,
      compression::CalibratorOptions{.piece_tokens = options_.calibration_piece_tokens,
                                     .state_path = compression::state_path_of(options_.calibration_path),
                                     .on_warning = options_.on_warning});
  progress_first_ = calibrator_->progress();
  publish(CalibrationStatus::State::kRunning);
}

std::optional<base::Nanos> BackgroundCalibration::pause() const {
  if (!calibrator_) return std::nullopt;
  return std::max(base::Nanos(0), next_try_ - clock_.now());
}

void BackgroundCalibration::run_alone() {
  credit_ = base::Nanos(0);
  if (has_work()) slice(kAlone);
}

void BackgroundCalibration::run_beside(base::Nanos step) {
  if (!has_work()) return;
  const base::Nanos budget = std::clamp(step, kBesideMin, kBesideMax);
  credit_ = std::min(credit_ + step, 2 * budget);
  if (credit_ < budget) return;
  const base::Nanos begin = clock_.now();
  slice(budget);
  credit_ -= clock_.now() - begin;
}

void BackgroundCalibration::give_back() {
  if (calibrator_) calibrator_->give_back();
}

/// A power of two: the transformer keeps a graph for each number of rows.
int BackgroundCalibration::tokens_for(base::Nanos budget) const {
  if (step_tokens_ == 0) return kTokensFirst;
  const double fits = static_cast<double>(step_tokens_) * static_cast<double>(budget.count()) /
                      static_cast<double>(std::max<std::int64_t>(1, step_time_.count()));
  const int at_most = std::min(kTokensMax, 2 * step_tokens_);
  const int tokens = std::clamp(static_cast<int>(std::min(fits, double{kTokensMax})), 1, at_most);
  return static_cast<int>(std::bit_floor(static_cast<unsigned>(tokens)));
}

void BackgroundCalibration::slice(base::Nanos budget) {
  const base::Nanos begin = clock_.now();
  base::Nanos now = begin, last{0};
  auto state = CalibrationStatus::State::kRunning;
  const bool ran = base::survives({base::Thread::kScheduler}, [&] {
    while (calibrator_ && now + last <= begin + budget) {
      const int tokens = tokens_for(begin + budget - now);
      const bool reads = calibrator_->reads_tokens();
      const auto step = calibrator_->step(tokens);
      last = clock_.now() - now;
      now += last;
      if (reads && step && *step == compression::Calibrator::Step::kWorked) {
        step_tokens_ = tokens;
        step_time_ = last;
      }
      if (!step) return fail(step.error().message);
      if (*step == compression::Calibrator::Step::kDone) return finish();
      if (*step != compression::Calibrator::Step::kNoPages) continue;
      state = CalibrationStatus::State::kWaiting;
      next_try_ = now + kRetryAfter;
      return;
    }
  });
  spent_ += clock_.now() - begin;
  if (!ran) return fail("it threw");
  if (calibrator_) publish(state);
}

void BackgroundCalibration::finish() {
  known_ = *calibrator_->result();
  calibrator_.reset();
  if (!options_.calibration_path.empty()) {
    const auto saved = compression::save(*known_, transformer_, options_.calibration_path);
    if (!saved) options_.on_warning(saved.error().message);
  }
  publish(CalibrationStatus::State::kReady);
}

void BackgroundCalibration::fail(const std::string& why) {
  options_.on_warning(
      fmt::format("{} isn't calibrated, its compressed prompts are scored without: {}", options_.name, why));
  failed_ = true;
  calibrator_.reset();
  publish(CalibrationStatus::State::kFailed);
}

void BackgroundCalibration::publish(CalibrationStatus::State state) {
  CalibrationStatus out{.state = state, .progress = known_ ? 1.0 : 0.0, .seconds_left = std::nullopt};
  if (calibrator_) {
    out.progress = calibrator_->progress();
    const double made = out.progress - progress_first_;
    if (made > kProgressMin)
      out.seconds_left = std::chrono::duration<double>(spent_).count() / made * (1 - out.progress);
  }
  if (options_.on_calibration_progress && calibrator_)
    options_.on_calibration_progress(static_cast<float>(out.progress));
  const std::lock_guard lock(mutex_);
  out.progress =
      std::max(out.progress, status_.progress);  // what pages that were given back held is done again
  status_ = out;
}

CalibrationStatus BackgroundCalibration::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace pmt::inference
