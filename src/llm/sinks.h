// Small sinks that several rooms need.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "llm/completer.h"

namespace pmt::llm {

/// Calls a function for each event.
class FunctionSink final : public Sink {
 public:
  explicit FunctionSink(std::function<void(Event&&)> on_event) : on_event_(std::move(on_event)) {}
  void on_event(Event&& event) override { on_event_(std::move(event)); }

 private:
  std::function<void(Event&&)> on_event_;
};

/// Keeps every event; wait() blocks until the terminal one. For the CLI and for tests.
class CollectingSink final : public Sink {
 public:
  void on_event(Event&& event) override {
    const std::lock_guard lock(mutex_);
    done_ = is_terminal(event);
    events_.push_back(std::move(event));
    if (done_) finished_.notify_all();
  }

  std::vector<Event> so_far() {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  /// All events, the terminal one last.
  std::vector<Event> wait() {
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [this] { return done_; });
    return events_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable finished_;
  std::vector<Event> events_;
  bool done_ = false;
};

/// The text of one choice.
std::string text_of(const std::vector<Event>& events, int choice = 0);

}  // namespace pmt::llm
