// How much a key may do in a minute: buckets that refill evenly.
// Thread-safety: any thread.
#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include "base/clock.h"

namespace pmt::api {

/// Holds at most `per_minute`, refills by that much a minute. 0: no limit.
class RateBucket {
 public:
  RateBucket(double per_minute, const base::Clock& clock)
      : per_minute_(per_minute), clock_(clock), level_(per_minute), at_(clock.now()) {}

  bool limited() const { return per_minute_ > 0; }
  double limit() const { return per_minute_; }
  /// Another limit from now on. What was used stays used.
  void set_limit(double per_minute);

  /// Takes `amount` if there is as much.
  bool try_take(double amount);
  /// Takes what was used already: the level may fall below zero, and then nobody is admitted until it has
  /// refilled.
  void charge(double amount);
  /// 0 at least.
  double remaining();
  /// Until the level is `amount`; 0 when it is.
  double seconds_until(double amount);
  double seconds_until_full() { return seconds_until(per_minute_); }

 private:
  void refill();  // under mutex_

  std::atomic<double> per_minute_;  // changes under mutex_
  const base::Clock& clock_;
  std::mutex mutex_;
  double level_;
  base::Nanos at_;
};

/// As OpenAI writes what is left of a limit: "120ms", "1.5s", "6m0s".
std::string duration_text(double seconds);

}  // namespace pmt::api
