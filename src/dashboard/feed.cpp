#include "dashboard/feed.h"

#include <algorithm>
#include <chrono>

#include "base/guard.h"
#include "net/sse.h"

namespace pmt::dashboard {

Feed::Feed(FeedOptions options)
    : options_(std::move(options)),
      thread_([this] { base::keep_running({base::Thread::kDashboard}, [this] { run(); }); }) {}

bool Feed::listen(std::shared_ptr<net::Responder> responder, std::function<bool()> allowed) {
  {
    const std::lock_guard lock(mutex_);
    drop_gone();
    if (closed_ || listeners_.size() >= options_.listeners_max) return false;
  }
  auto gone = std::make_shared<std::atomic<bool>>(false);
  responder->start_stream(
      {200,
       {{"content-type", "text/event-stream; charset=utf-8"}, {"cache-control", "no-cache"}},
       net::sse_event(options_.snapshot())});
  responder->on_disconnect([gone] { *gone = true; });
  const std::lock_guard lock(mutex_);
  listeners_.push_back({std::move(responder), std::move(gone), std::move(allowed)});
  wake_.notify_all();
  return true;
}

std::size_t Feed::listeners() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(listeners_.begin(), listeners_.end(), [](const Listener& one) { return !*one.gone; }));
}

void Feed::drop_gone() {
  std::erase_if(listeners_, [](const Listener& one) {
    if (!one.over()) return false;
    one.responder->finish_stream();  // does nothing to a peer that left, but ends the request's record
    return true;
  });
}

void Feed::run() {
  std::unique_lock lock(mutex_);
  while (!closed_) {
    wake_.wait(lock, [this] { return closed_ || !listeners_.empty(); });
    wake_.wait_for(lock, std::chrono::milliseconds(options_.period_ms), [this] { return closed_; });
    drop_gone();
    if (closed_ || listeners_.empty()) continue;
    const std::vector<Listener> now = listeners_;
    lock.unlock();
    base::survives({base::Thread::kDashboard}, [&] {  // its next snapshot may be a better one
      const std::string event = net::sse_event(options_.snapshot());
      for (const Listener& one : now) one.responder->write(event);
    });
    lock.lock();
  }
  for (const Listener& one : listeners_) one.responder->finish_stream();
  listeners_.clear();
}

void Feed::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

}  // namespace pmt::dashboard
