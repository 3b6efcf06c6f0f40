#include "upstream/call_queue.h"

#include <utility>

#include <fmt/format.h>

namespace pmt::upstream {

base::Status CallQueue::enter(std::function<void()> begin) {
  {
    const std::lock_guard lock(mutex_);
    if (running_ >= options_.concurrent_max) {
      if (waiting_.size() < static_cast<std::size_t>(options_.queue_max)) {
        waiting_.push_back(std::move(begin));
        return {};
      }
      return base::Error{base::Code::kUnavailable,
                         fmt::format("upstream {}: {} requests wait already: try again later",
                                     options_.provider, options_.queue_max)};
    }
    ++running_;
  }
  begin();
  return {};
}

void CallQueue::leave() {
  std::function<void()> next;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) {
      --running_;
      return;
    }
    next = std::move(waiting_.front());
    waiting_.pop_front();
  }
  // Not from here: many that have cancelled meanwhile would end one inside the other.
  client_.after(0, std::move(next), {});
}

CallQueue::Load CallQueue::load() const {
  const std::lock_guard lock(mutex_);
  return {.running = running_, .waiting = static_cast<std::int64_t>(waiting_.size())};
}

}  // namespace pmt::upstream
