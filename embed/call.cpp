#include "embed/call.h"

#include <chrono>
#include <utility>

namespace pmt::embed {
namespace {

bool is_stream(const net::Headers& headers) {
  for (const auto& [name, value] : headers) {
    if (name == "content-type") return value.starts_with("text/event-stream");
  }
  return false;
}

/// A stream that breaks off says why in its last event.
bool is_failure(const net::SseEvent& event) {
  return event.name == "error" || event.data.starts_with("{\"error\":");
}

}  // namespace

class Call::Answer final : public net::Responder {
 public:
  explicit Answer(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  ~Answer() override { call_->fail({PERMUTATION_INTERNAL, "The request was dropped without an answer."}); }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  void send(net::HttpResponse response) override {
    if (response.status >= 400) return call_->fail(failure_of(response.status, response.body));
    if (is_stream(response.headers)) {
      call_->add(response.body);
    } else {
      const std::lock_guard lock(call_->mutex_);
      call_->events_.push_back(std::move(response.body));
    }
    call_->end();
  }
  void start_stream(net::HttpResponse head) override { call_->add(head.body); }
  void write(std::string chunk) override { call_->add(chunk); }
  void finish_stream() override { call_->end(); }
  void on_disconnect(std::function<void()> callback) override { call_->on_cancel(std::move(callback)); }

 private:
  const std::shared_ptr<Call> call_;
};

std::shared_ptr<net::Responder> Call::responder(const std::shared_ptr<Call>& call) {
  return std::make_shared<Answer>(call);
}

Failure Call::next(double timeout_s, std::string* event) {
  std::unique_lock lock(mutex_);
  const auto ready = [this] { return !events_.empty() || ended_; };
  constexpr double kForeverS = 1e9;
  if (timeout_s < 0 || timeout_s > kForeverS) {
    changed_.wait(lock, ready);
  } else if (!changed_.wait_for(lock, std::chrono::duration<double>(timeout_s), ready)) {
    return {PERMUTATION_TIMEOUT, "No event came in the given time. The request goes on: ask again."};
  }
  if (cancelled_) return {PERMUTATION_CANCELLED, "The request was cancelled."};
  if (events_.empty()) return failure_.code == PERMUTATION_OK ? Failure{PERMUTATION_END} : failure_;
  *event = std::move(events_.front());
  events_.pop_front();
  return {};
}

void Call::cancel() {
  std::function<void()> callback;
  {
    const std::lock_guard lock(mutex_);
    if (ended_ || cancelled_) return;
    cancelled_ = true;
    callback = std::move(on_cancel_);
  }
  if (callback) callback();
}

void Call::add(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  for (net::SseEvent& event : stream_.feed_events(bytes)) {
    if (event.data == "[DONE]") continue;
    if (is_failure(event)) {
      failure_ = failure_of(500, event.data);
    } else {
      events_.push_back(std::move(event.data));
    }
  }
  if (!events_.empty()) changed_.notify_all();
}

void Call::end() {
  std::function<void()> callback;  // freed after the lock: it may hold the last reference to the request
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(ended_, true)) return;
    callback = std::exchange(on_cancel_, nullptr);
    changed_.notify_all();
  }
  when_ended_(this);
}

void Call::fail(Failure failure) {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    failure_ = std::move(failure);
  }
  end();
}

void Call::on_cancel(std::function<void()> callback) {
  bool now = false;
  {
    const std::lock_guard lock(mutex_);
    now = cancelled_;
    if (!now && !ended_) on_cancel_ = std::move(callback);
  }
  if (now && callback) callback();
}

}  // namespace pmt::embed
