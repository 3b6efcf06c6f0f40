// Leaves a model alone that keeps failing. After `failures` failed attempts in a row it is cool for
// `cooldown_s`; then one more failure is enough, one success starts the count anew. A server that asks for a
// longer wait gets it.
// Thread-safety: any thread may call anything.
#pragma once

#include <algorithm>
#include <mutex>

#include "base/clock.h"
#include "upstream/remote_options.h"

namespace pmt::upstream {

class Cooldown {
 public:
  Cooldown(CooldownOptions options, const base::Clock& clock) : options_(options), clock_(clock) {}

  /// Seconds that it still is to be left alone; 0: it may be asked, as always where no number of failures is set.
  double remaining_s() const {
    if (options_.failures <= 0) return 0;
    const std::lock_guard lock(mutex_);
    return std::max(0.0, std::chrono::duration<double>(until_ - clock_.now()).count());
  }
  void succeeded() {
    const std::lock_guard lock(mutex_);
    failures_ = 0;
  }
  /// `wait_s`: the least wait that the server asked for, 0 if none.
  void failed(double wait_s) {
    const std::lock_guard lock(mutex_);
    double rest_s = wait_s;
    if (++failures_ >= options_.failures) {
      failures_ = options_.failures - 1;
      rest_s = std::max(rest_s, options_.cooldown_s);
    }
    const auto rest = std::chrono::duration_cast<base::Nanos>(std::chrono::duration<double>(rest_s));
    if (rest_s > 0) until_ = std::max(until_, clock_.now() + rest);
  }

 private:
  const CooldownOptions options_;
  const base::Clock& clock_;
  mutable std::mutex mutex_;
  base::Nanos until_{0};  // guarded by mutex_, like
  int failures_ = 0;      // attempts in a row
};

}  // namespace pmt::upstream
