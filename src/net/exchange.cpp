#include "net/exchange.h"

#include <algorithm>
#include <initializer_list>

#include <fmt/format.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include "base/guard.h"

namespace pmt::net {
namespace asio = boost::asio;
namespace {

using WirePtr = std::unique_ptr<Wire>;

// An error's body is kept to explain it; nobody reads more.
constexpr std::size_t kErrorBytesMax = 256 * 1024;
// How late a deadline may be noticed.
constexpr std::chrono::milliseconds kSweepPeriod{50};

TimePoint now() {
  return std::chrono::steady_clock::now();
}

base::Error cancelled() {
  return {base::Code::kCancelled, "cancelled"};
}

bool has_one_of(std::string_view text, std::initializer_list<char> these) {
  return std::any_of(text.begin(), text.end(),
                     [these](char c) { return std::find(these.begin(), these.end(), c) != these.end(); });
}

base::Result<std::string> bytes_of(const AsyncCall& call) {
  constexpr std::size_t kUsualHead = 512;
  const std::string target = call.url.path + call.target;
  std::string bytes;
  bytes.reserve(kUsualHead + call.body.size());
  bytes.append(call.method).append(" ").append(target);
  bytes.append(" HTTP/1.1\r\nhost: ").append(call.url.authority).append("\r\n");
  bool clean = target.starts_with('/') && !has_one_of(target, {' ', '\r', '\n'});
  for (const auto& [name, value] : call.headers) {
    clean = clean && !has_one_of(name, {':', ' ', '\r', '\n'}) && !has_one_of(value, {'\r', '\n', '\0'});
    bytes.append(name).append(": ").append(value).append("\r\n");
  }
  // Not showing them: one may hold a key.
  if (!clean) return base::invalid("the target or a header can't be sent over HTTP", "target");
  bytes.append("content-length: ").append(std::to_string(call.body.size())).append("\r\n\r\n");
  return bytes.append(call.body);
}

}  // namespace

WirePtr IdlePool::take(const std::string& origin) {
  const auto found = idle_.find(origin);
  if (found == idle_.end()) return nullptr;
  WirePtr wire;
  auto& [at, last] = found->second.back();
  if (now() - at < seconds(options_.idle_timeout_s)) wire = std::move(last);
  if (wire) {
    found->second.pop_back();
    --size_;
  } else {  // the newest is too old, so all are
    size_ -= found->second.size();
    found->second.clear();
  }
  if (found->second.empty()) idle_.erase(found);
  return wire;
}

void IdlePool::keep(const std::string& origin, WirePtr wire) {
  if (size_ >= options_.idle_connections_max) return;
  idle_[origin].emplace_back(now(), std::move(wire));
  ++size_;
}

void IdlePool::clear() {
  idle_.clear();
  size_ = 0;
}

Exchange::Exchange(Lane& lane, AsyncCall call, std::shared_ptr<ExchangeListener> listener)
    : lane_(lane),
      call_(std::move(call)),
      listener_(std::move(listener)),
      deadline_(now() + seconds(call_.total_timeout_s)) {}

void Exchange::watch(const base::CancelToken& cancel) {
  callback_ = cancel.on_cancel([weak = weak_from_this(), &context = lane_.context()] {
    asio::post(context, [weak] {
      if (const auto self = weak.lock()) self->abort();
    });
  });
}

void Exchange::abort() {
  aborted_ = true;
  if (wire_) wire_->close();
}

void Exchange::check_deadline(TimePoint now) {
  if (wire_) wire_->check_deadline(now);
}

Task<void> Exchange::run() {
  base::Status status;
  try {
    status = co_await exchange();
  } catch (...) {
    status = base::caught_exception({base::Thread::kClient});
  }
  if (aborted_) status = cancelled();
  wire_.reset();
  callback_.reset();
  const auto listener = std::exchange(listener_, nullptr);
  base::survives({base::Thread::kClient}, [&] { listener->on_end(std::move(status)); });
}

TimePoint Exchange::within(double limit_s) const {
  return limit_s > 0 ? std::min(deadline_, now() + seconds(limit_s)) : deadline_;
}

base::Error Exchange::timed_out(const char* waiting_for, double limit_s) const {
  const bool total = limit_s <= 0 || now() >= deadline_;
  return {base::Code::kDeadline,
          fmt::format("{} did not {} within {} s", call_.url.origin(),
                      total ? "finish its answer" : waiting_for, total ? call_.total_timeout_s : limit_s)};
}

Task<base::Status> Exchange::exchange() {
  const auto bytes = bytes_of(call_);
  if (!bytes) co_return bytes.error();
  call_.body = {};
  for (bool may_reuse = true;; may_reuse = false) {
    if (aborted_) co_return cancelled();
    wire_ = may_reuse ? lane_.idle().take(call_.url.origin()) : nullptr;
    const bool reused = wire_ != nullptr;
    if (reused) {
      ++lane_.shared().reused;
    } else {
      wire_ = std::make_unique<Wire>(lane_.context().get_executor(), lane_.shared().tls, call_.url);
      ++lane_.shared().opened;
      base::Status connected = co_await wire_->connect(within(call_.connect_timeout_s));
      if (!connected) co_return connected;
    }
    // A server may close a kept connection at any moment: then nothing of an answer comes, and a fresh one
    // is right.
    bool nothing_came = true;
    base::Status done = co_await send_and_receive(*bytes, nothing_came);
    const bool stale = !done && done.error().code == base::Code::kIo && reused && nothing_came;
    if (!stale || aborted_) co_return done;
  }
}

Task<base::Status> Exchange::send_and_receive(const std::string& bytes, bool& nothing_came) {
  const base::Status sent = co_await wire_->send(bytes, within(call_.stall_timeout_s));
  if (!sent && sent.error().code == base::Code::kDeadline) {
    co_return timed_out("take the request", call_.stall_timeout_s);
  }
  // Even if sending failed the server may have answered before it closed, say 413.
  const ResponseParser::OnBytes on_bytes = [this](std::string_view piece) { return give(piece); };
  parser_.emplace(false, &on_bytes);
  std::string unparsed;
  for (;;) {
    const double limit_s = nothing_came ? call_.first_byte_timeout_s : call_.stall_timeout_s;
    const auto size = co_await wire_->receive(chunk_.data(), chunk_.size(), within(limit_s));
    if (!size && size.error().code == base::Code::kDeadline) {
      co_return timed_out(nothing_came ? "begin its answer" : "go on with its answer", limit_s);
    }
    if (!size) co_return broke_off(size.error());
    if (*size == 0) {
      if (const base::Status end = parser_->end(); !end) co_return broke_off(end.error());
      break;
    }
    nothing_came = false;
    unparsed.append(chunk_.data(), *size);
    if (const base::Status parsed = parse(unparsed, on_bytes); !parsed) {
      co_return base::Error{parsed.error().code,
                            fmt::format("{}: {}", call_.url.origin(), parsed.error().message)};
    }
    if (parser_->done() || parser_->response().body.size() > kErrorBytesMax) break;
  }
  finish(unparsed);
  co_return base::Status();
}

base::Error Exchange::broke_off(const base::Error& error) const {
  return {error.code, fmt::format("{}: {}", call_.url.origin(), error.message)};
}

base::Status Exchange::parse(std::string& unparsed, const ResponseParser::OnBytes& on_bytes) {
  for (;;) {
    TRY_ASSIGN(const std::size_t taken, parser_->parse(unparsed));
    unparsed.erase(0, taken);
    if (!parser_->interim()) return {};
    parser_.emplace(false, &on_bytes);
    if (unparsed.empty()) return {};
  }
}

bool Exchange::give(std::string_view piece) {
  give_head();
  return listener_->on_body(piece);
}

void Exchange::give_head() {
  if (std::exchange(head_given_, true)) return;
  listener_->on_head(parser_->response().status, parser_->response().headers);
}

void Exchange::finish(const std::string& unparsed) {
  give_head();
  if (const std::string& body = parser_->response().body; !body.empty()) listener_->on_body(body);
  if (parser_->reusable() && unparsed.empty() && !aborted_) {
    lane_.idle().keep(call_.url.origin(), std::move(wire_));
  }
}

Lane::Lane(asio::io_context& context, std::shared_ptr<ClientShared> shared, std::function<void()> on_finished)
    : context_(context),
      shared_(std::move(shared)),
      on_finished_(std::move(on_finished)),
      idle_(shared_->options),
      sweep_timer_(context.get_executor()) {}

void Lane::start(AsyncCall call, std::shared_ptr<ExchangeListener> listener,
                 const base::CancelToken& cancel) {
  const auto exchange = std::make_shared<Exchange>(*this, std::move(call), std::move(listener));
  exchange->watch(cancel);
  ++active_;
  ++shared_->running;
  asio::post(context_, [self = shared_from_this(), exchange] { self->run(exchange); });
}

void Lane::run(const std::shared_ptr<Exchange>& exchange) {
  const auto entry = exchanges_.insert(exchanges_.end(), exchange);
  if (ending_) exchange->abort();
  if (!std::exchange(sweeping_, true)) sweep();
  asio::co_spawn(
      context_.get_executor(), [exchange] { return exchange->run(); },
      [self = shared_from_this(), entry](const std::exception_ptr& failure) {
        base::survives({base::Thread::kClient}, [&failure] {
          if (failure) std::rethrow_exception(failure);
        });
        self->exchanges_.erase(entry);
        --self->shared_->running;
        --self->active_;
        self->finish_if_empty();
      });
}

/// One timer for all: arming one for each of an exchange's waits would cost more than its sockets' calls.
void Lane::sweep() {
  sweeping_ = !exchanges_.empty();
  if (!sweeping_) return;
  sweep_timer_.expires_after(kSweepPeriod);
  sweep_timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& ec) {
    const auto self = weak.lock();
    if (ec || !self) return;
    const TimePoint at = now();
    for (const auto& exchange : self->exchanges_) exchange->check_deadline(at);
    self->sweep();
  });
}

void Lane::end() {
  ending_ = true;
  idle_.clear();
  for (const auto& exchange : exchanges_) exchange->abort();
  finish_if_empty();
}

void Lane::finish_if_empty() {
  if (!ending_ || active_ > 0) return;
  sweep_timer_.cancel();
  if (const auto tell = std::exchange(on_finished_, nullptr)) tell();
}

}  // namespace pmt::net
