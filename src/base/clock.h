// Time, injected: everything that expires or measures takes a Clock, so that tests own the time.
// Thread-safety: both implementations may be read from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace pmt::base {

using Nanos = std::chrono::nanoseconds;

class Clock {
 public:
  virtual ~Clock() = default;
  /// Monotonic, for durations and expiry.
  virtual Nanos now() const = 0;
  /// Seconds since the Unix epoch, for what people read.
  virtual std::int64_t unix_seconds() const = 0;
};

class SystemClock final : public Clock {
 public:
  Nanos now() const override { return std::chrono::steady_clock::now().time_since_epoch(); }
  std::int64_t unix_seconds() const override {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

/// Stands still until advanced.
class FakeClock final : public Clock {
 public:
  Nanos now() const override { return Nanos(now_ns_.load()); }
  std::int64_t unix_seconds() const override { return 1'700'000'000 + now_ns_.load() / 1'000'000'000; }
  void advance(Nanos by) { now_ns_ += by.count(); }

 private:
  std::atomic<std::int64_t> now_ns_{1'000'000'000};
};

inline double ms_between(Nanos from, Nanos to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

}  // namespace pmt::base
