#include "app/commands/reading_progress.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "app/commands/report_error.h"

namespace pmt::app {
namespace {

/// A prompt that is read sooner needs no word.
constexpr std::chrono::milliseconds kPeriod{500};
constexpr std::int64_t kShortTokens = 512;

}  // namespace

ReadingProgress::ReadingProgress(const inference::LocalModel& model, const llm::Request& request)
    : model_(model) {
  if (isatty(STDERR_FILENO) == 0) return;
  const auto prompt = model.prompt_of(request);
  if (!prompt || static_cast<std::int64_t>(prompt->size()) <= kShortTokens) return;
  total_ = static_cast<std::int64_t>(prompt->size());
  before_ = model.kv_stats().tokens;
  thread_ = std::thread([this] { run(); });
}

ReadingProgress::~ReadingProgress() {
  end();
  if (thread_.joinable()) thread_.join();
}

void ReadingProgress::end() {
  const std::lock_guard lock(mutex_);
  if (over_) return;
  over_ = true;
  wake_.notify_all();
  if (shown_) tell("\r\033[K");
}

void ReadingProgress::run() {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point began = Clock::now();
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kPeriod, [this] { return over_; })) {
    const std::int64_t read = std::clamp<std::int64_t>(model_.kv_stats().tokens - before_, 0, total_);
    const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
    shown_ = true;
    tell("\r\033[Kreading the prompt: {} of {} tokens", read, total_);
    if (read > 0)
      tell(", {:.0f} s left", seconds * static_cast<double>(total_ - read) / static_cast<double>(read));
  }
}

}  // namespace pmt::app
