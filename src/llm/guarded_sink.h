// A Sink around another that may throw although it must not: the first exception ends that request's stream
// with Failed (kInternal), and whoever makes the events goes on. Also makes sure that nothing follows a
// terminal event. Thread-safety: as Sink; broken() from any thread.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "base/guard.h"
#include "llm/completer.h"

namespace pmt::llm {

class GuardedSink final : public Sink {
 public:
  GuardedSink(std::shared_ptr<Sink> sink, std::string request_id)
      : sink_(std::move(sink)), request_id_(std::move(request_id)) {}

  void on_event(Event&& event) override {
    if (!sink_) return;
    const bool terminal = is_terminal(event);
    const bool failed = std::holds_alternative<Failed>(event);
    const base::Status given = give(std::move(event));
    if (given && !terminal) return;
    if (!given) {
      broken_ = true;
      if (!failed) (void)give(Failed{given.error()});
    }
    sink_ = nullptr;
  }

  /// Nobody gets what is still made for it.
  bool broken() const { return broken_; }

 private:
  base::Status give(Event&& event) {
    return base::guarded({base::Thread::kSink, request_id_}, [&] { sink_->on_event(std::move(event)); });
  }

  std::shared_ptr<Sink> sink_;  // null after its terminal event
  const std::string request_id_;
  std::atomic<bool> broken_{false};
};

}  // namespace pmt::llm
