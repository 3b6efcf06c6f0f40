// A flag that says "nobody waits for this any more": set once by the waiting side, polled by the worker or
// heard through a callback. Copies share the flag.
// Thread-safety: any thread may call anything.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <utility>

namespace pmt::base {

/// Deregisters its callback when destroyed; if the callback is running in another thread, waits for it.
using CancelCallback = std::stop_callback<std::function<void()>>;

class CancelToken {
 public:
  void cancel() const { source_.request_stop(); }
  bool cancelled() const { return source_.stop_requested(); }

  /// Runs `fn` once, in the thread that cancels; at once and here if already cancelled. Keep the result for
  /// as long as `fn` may run, and don't destroy it under a lock that `fn` takes.
  [[nodiscard]] std::unique_ptr<CancelCallback> on_cancel(std::function<void()> fn) const {
    return std::make_unique<CancelCallback>(source_.get_token(), std::move(fn));
  }

 private:
  mutable std::stop_source source_;
};

}  // namespace pmt::base
