#include "evals/compression_pace.h"

#include <utility>

#include <fmt/format.h>

namespace pmt::evals {

void Pace::took(const std::string& kind, double tokens, double seconds) {
  for (Sum* const sum : {&kinds_[kind], &all_}) {
    sum->tokens += tokens;
    sum->seconds += seconds;
  }
}

std::optional<double> Pace::expected(const std::string& kind, double tokens) const {
  if (all_.tokens == 0) return std::nullopt;
  const auto seen = kinds_.find(kind);
  const Sum& sum = seen == kinds_.end() ? all_ : seen->second;
  return tokens * sum.seconds / sum.tokens;
}

std::string duration_text(double seconds) {
  constexpr double kMinute = 60, kHour = 3600;
  if (seconds < 2 * kMinute) return fmt::format("{:.0f} s", seconds);
  if (seconds < 2 * kHour) return fmt::format("{:.0f} min", seconds / kMinute);
  return fmt::format("{:.1f} h", seconds / kHour);
}

Ticker::Ticker(std::chrono::milliseconds every, std::function<void(double seconds)> say)
    : thread_([this, every, say = std::move(say)] {
        const auto begin = std::chrono::steady_clock::now();
        std::unique_lock lock(mutex_);
        for (auto next = begin + every; !changed_.wait_until(lock, next, [this] { return done_; });
             next += every)
          say(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
      }) {}

Ticker::~Ticker() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

}  // namespace pmt::evals
