#include "inference/encode_queue.h"

#include <utility>

namespace pmt::inference {

EncodeQueue::EncodeQueue(Options options, std::function<base::Status(Arrived&)> encode)
    : options_(options), encode_(std::move(encode)) {
  thread_ = std::thread([this] { base::keep_running({options_.thread}, [this] { run(); }); });
}

EncodeQueue::~EncodeQueue() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool EncodeQueue::push(Arrived& arrived) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= options_.waiting_max) return false;
    waiting_.push_back(std::move(arrived));
  }
  wake_.notify_one();
  return true;
}

void EncodeQueue::run() {
  for (;;) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    Arrived arrived = std::move(waiting_.front());
    waiting_.pop_front();
    const bool stopping = stopping_;
    lock.unlock();
    const base::Guard guard{options_.thread, arrived.request.id};
    const base::Status taken = base::guarded(guard, [&] { return take(arrived, stopping); });
    if (taken) continue;
    // A sink of the caller's own, so not the scheduler's guarded one.
    base::survives({base::Thread::kSink, arrived.request.id},
                   [&] { arrived.sink->on_event(llm::Failed{taken.error()}); });
  }
}

base::Status EncodeQueue::take(Arrived& arrived, bool stopping) {
  if (stopping) return base::Error{base::Code::kUnavailable, "the server is shutting down"};
  if (arrived.cancel.cancelled()) return base::Error{base::Code::kCancelled, "the client left"};
  return encode_(arrived);
}

}  // namespace pmt::inference
