#include "net/outbox.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "net/response_head.h"
#include "net/sse.h"

namespace pmt::net {

/// One request's Responder. Holds the outbox, never the connection: it may outlive the server.
class Outbox::Reply final : public Responder {
 public:
  Reply(std::shared_ptr<Outbox> outbox, std::uint64_t request)
      : outbox_(std::move(outbox)), request_(request) {}
  ~Reply() override { outbox_->abandon(request_); }
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;

  void send(HttpResponse response) override { outbox_->send(request_, response); }
  void start_stream(HttpResponse head) override { outbox_->start_stream(request_, head); }
  void write(std::string chunk) override { outbox_->write(request_, chunk); }
  void finish_stream() override { outbox_->finish_stream(request_); }
  void keep_alive(HttpResponse head, Silence silence) override {
    outbox_->keep_alive(request_, std::move(head), std::move(silence));
  }
  void on_disconnect(std::function<void()> callback) override {
    outbox_->on_disconnect(request_, std::move(callback));
  }

 private:
  const std::shared_ptr<Outbox> outbox_;
  const std::uint64_t request_;
};

std::shared_ptr<Responder> Outbox::open(const RequestTraits& traits) {
  std::lock_guard lock(mutex_);
  traits_ = traits;
  stage_ = Stage::kWaiting;
  awake_ = true;
  sending_ = false;
  head_.reset();
  began_alone_ = false;
  return std::make_shared<Reply>(shared_from_this(), ++request_);
}

Outbox::Answer Outbox::take(std::string* out) {
  std::lock_guard lock(mutex_);
  if (overflow_) {
    if (is_sse_) out->swap(pending_);
    return Answer::kOverflow;
  }
  out->swap(pending_);
  sending_ = !out->empty();
  if (stage_ == Stage::kDone) return traits_.keep_alive && !broken_off_ ? Answer::kKeepAlive : Answer::kClose;
  awake_ = !out->empty();  // with bytes in hand the connection comes back after writing them
  return Answer::kOpen;
}

void Outbox::make_last() {
  std::lock_guard lock(mutex_);
  traits_.keep_alive = false;
}

Outbox::Next Outbox::next() {
  std::lock_guard lock(mutex_);
  if (!pending_.empty()) return Next::kUnsure;
  if (stage_ == Stage::kWaiting) return Next::kHead;
  const bool chunks = stage_ == Stage::kStreaming && traits_.http_1_1 && !bodiless_;
  return chunks ? Next::kChunk : Next::kUnsure;
}

void Outbox::close() {
  Callbacks callbacks;
  {
    std::lock_guard lock(mutex_);
    if (gone_) return;
    gone_ = true;
    wake_ = nullptr;
    callbacks.swap(on_disconnect_);
  }
  for (const auto& callback : callbacks) callback();
}

void Outbox::send(std::uint64_t request, const HttpResponse& response) {
  Callbacks unneeded;
  std::lock_guard lock(mutex_);
  if (began_alone_ && is_in(Stage::kStreaming, request) && !overflow_) {
    append_chunk(sse_event(response.body));
    append_end();
    unneeded = finish();
    return;
  }
  if (!is_in(Stage::kWaiting, request)) return;
  if (asks_to_close(response)) traits_.keep_alive = false;
  const bool bodiless = is_bodiless(response.status);
  append_head(response,
              {.keep_alive = traits_.keep_alive,
               .http_1_1 = traits_.http_1_1,
               .content_length = bodiless ? std::nullopt : std::optional(response.body.size())},
              &pending_);
  if (!traits_.head && !bodiless) pending_.append(response.body);
  unneeded = finish();
}

void Outbox::start_stream(std::uint64_t request, const HttpResponse& head) {
  std::lock_guard lock(mutex_);
  if (is_in(Stage::kWaiting, request)) return begin(head);
  if (!is_in(Stage::kStreaming, request) || !std::exchange(began_alone_, false)) return;
  append_chunk(head.body);
  wake();
}

void Outbox::begin(const HttpResponse& head) {
  // Without chunks only the connection's end tells an HTTP/1.0 client where the body ends.
  if (asks_to_close(head) || !traits_.http_1_1) traits_.keep_alive = false;
  append_head(head, {.keep_alive = traits_.keep_alive, .http_1_1 = traits_.http_1_1, .content_length = {}},
              &pending_);
  stage_ = Stage::kStreaming;
  bodiless_ = traits_.head || is_bodiless(head.status);
  is_sse_ = std::any_of(head.headers.begin(), head.headers.end(), [](const auto& header) {
    return header.first == "content-type" && header.second.starts_with("text/event-stream");
  });
  append_chunk(head.body);
  wake();
}

void Outbox::write(std::uint64_t request, std::string_view chunk) {
  std::lock_guard lock(mutex_);
  if (!is_in(Stage::kStreaming, request) || overflow_) return;
  if (!is_too_much()) {
    append_chunk(chunk);
  } else {
    overflow_ = true;
    append_farewell();
  }
  wake();
}

void Outbox::finish_stream(std::uint64_t request) {
  Callbacks unneeded;
  std::lock_guard lock(mutex_);
  if (!is_in(Stage::kStreaming, request) || overflow_) return;
  append_end();
  unneeded = finish();
}

void Outbox::keep_alive(std::uint64_t request, HttpResponse head, Silence silence) {
  std::lock_guard lock(mutex_);
  if (!is_in(Stage::kWaiting, request)) return;
  head_ = std::move(head);
  silence_ = std::move(silence);
  said_before_ = said_;
  silent_since_ = std::chrono::steady_clock::now();
}

void Outbox::break_silence(std::chrono::steady_clock::time_point now) {
  std::lock_guard lock(mutex_);
  if (!head_ || gone_ || stage_ == Stage::kDone || overflow_) return;
  if (said_ != said_before_ || !pending_.empty()) {
    said_before_ = said_;
    silent_since_ = now;
  }
  constexpr double kDoingS = 1;
  std::string doing = silence_.doing ? silence_.doing() : "";
  const double limit_s = doing.empty() ? silence_.after_s : std::min(kDoingS, silence_.after_s);
  if (now - silent_since_ < std::chrono::duration<double>(limit_s)) return;
  silent_since_ = now;
  if (stage_ == Stage::kWaiting) {
    began_alone_ = true;
    begin(*head_);
  }
  // One line: another one would be no comment.
  std::ranges::replace_if(
      doing, [](char c) { return c == '\n' || c == '\r'; }, ' ');
  append_chunk(fmt::format(": {}\n\n", doing.empty() ? "still working" : doing));
  said_before_ = said_;
  wake();
}

void Outbox::on_disconnect(std::uint64_t request, std::function<void()> callback) {
  {
    std::lock_guard lock(mutex_);
    if (request != request_ || stage_ == Stage::kDone) return;
    if (!gone_) {
      on_disconnect_.push_back(std::move(callback));
      return;
    }
  }
  callback();
}

void Outbox::abandon(std::uint64_t request) {
  {
    std::lock_guard lock(mutex_);
    const bool answered = request != request_ || stage_ == Stage::kDone || gone_;
    if (answered) return;  // as nearly all are: the words below would be made for nobody
  }
  send(request, error_response(500, "the server dropped the request without an answer"));
  Callbacks unneeded;
  std::lock_guard lock(mutex_);
  if (!is_in(Stage::kStreaming, request) || overflow_) return;
  broken_off_ = true;
  unneeded = finish();
}

/// As long as the connection has nothing in hand it isn't the client that is slow: whoever writes is ahead of
/// the I/O thread, by a long answer out of a cache or one huge piece.
bool Outbox::is_too_much() const {
  constexpr std::size_t kAheadMax = 8;
  return pending_.size() > (sending_ ? 1 : kAheadMax) * pending_bytes_max_;
}

void Outbox::append_chunk(std::string_view chunk) {
  if (chunk.empty() || bodiless_) return;
  ++said_;
  if (!traits_.http_1_1) {
    pending_.append(chunk);
    return;
  }
  fmt::format_to(std::back_inserter(pending_), "{:x}\r\n", chunk.size());
  pending_.append(chunk).append("\r\n");
}

void Outbox::append_end() {
  if (!bodiless_ && traits_.http_1_1) pending_.append("0\r\n\r\n");
}

void Outbox::append_farewell() {
  if (!is_sse_) return;
  const auto why = error_response(
      503, fmt::format("the stream ends here: more than {} bytes of it waited for this client to read them",
                       pending_bytes_max_));
  append_chunk(sse_event(why.body));
  append_end();
}

void Outbox::wake() {
  if (awake_) return;
  awake_ = true;
  wake_();
}

/// The answer is complete: returns the callbacks that nobody needs now, to be destroyed after the lock.
Outbox::Callbacks Outbox::finish() {
  stage_ = Stage::kDone;
  wake();
  return std::exchange(on_disconnect_, {});
}

}  // namespace pmt::net
