#include "net/async_client.h"

#include <array>
#include <atomic>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "net/response_parser.h"
#include "net/wire.h"

namespace pmt::net {
namespace asio = boost::asio;
namespace {

using TimePoint = Wire::TimePoint;
using WirePtr = std::unique_ptr<Wire>;

// An error's body is kept to explain it; nobody reads more.
constexpr std::size_t kErrorBytesMax = 256 * 1024;

TimePoint now() {
  return std::chrono::steady_clock::now();
}

std::chrono::steady_clock::duration seconds(double s) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(s));
}

base::Error cancelled() {
  return {base::Code::kCancelled, "cancelled"};
}

base::Result<std::string> head_of(const AsyncCall& call) {
  const std::string target = call.url.path + call.target;
  std::string head = fmt::format("{} {} HTTP/1.1\r\nhost: {}\r\n", call.method, target, call.url.authority);
  bool clean = target.starts_with('/') && target.find_first_of(" \r\n") == std::string::npos;
  for (const auto& [name, value] : call.headers) {
    clean = clean && name.find_first_of(": \r\n") == std::string::npos &&
            value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos;
    head += fmt::format("{}: {}\r\n", name, value);
  }
  // Not showing them: one may hold a key.
  if (!clean) return base::invalid("the target or a header can't be sent over HTTP", "target");
  return head + fmt::format("content-length: {}\r\n\r\n", call.body.size());
}

/// Connections that wait for their next request, newest used first.
class IdlePool {
 public:
  explicit IdlePool(const AsyncClientOptions& options) : options_(options) {}
  WirePtr take(const std::string& origin) {
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
  void keep(const std::string& origin, WirePtr wire) {
    if (size_ >= options_.idle_connections_max) return;
    idle_[origin].emplace_back(now(), std::move(wire));
    ++size_;
  }
  void clear() {
    idle_.clear();
    size_ = 0;
  }

 private:
  const AsyncClientOptions& options_;
  std::map<std::string, std::deque<std::pair<TimePoint, WirePtr>>> idle_;
  std::size_t size_ = 0;
};

struct Shared {
  explicit Shared(AsyncClientOptions given) : options(std::move(given)), idle(options) {}
  const AsyncClientOptions options;
  asio::io_context context{1};
  asio::ssl::context tls{asio::ssl::context::tls_client};
  IdlePool idle;
  std::atomic<std::uint64_t> opened{0}, reused{0};
  std::atomic<std::int64_t> running{0};
};

/// One request and its answer. Everything but cancel() on the client's thread.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(Shared& shared, AsyncCall call, std::shared_ptr<ExchangeListener> listener)
      : shared_(shared),
        call_(std::move(call)),
        listener_(std::move(listener)),
        deadline_(now() + seconds(call_.total_timeout_s)) {}

  /// Any thread.
  void watch(const base::CancelToken& cancel) {
    callback_ = cancel.on_cancel([weak = weak_from_this(), &context = shared_.context] {
      asio::post(context, [weak] {
        if (const auto self = weak.lock()) self->abort();
      });
    });
  }
  void abort() {
    aborted_ = true;
    if (wire_) wire_->close();
  }
  Wire::Task<void> run() {
    base::Status status = co_await exchange();
    if (aborted_) status = cancelled();
    wire_.reset();
    callback_.reset();
    const auto listener = std::exchange(listener_, nullptr);
    listener->on_end(std::move(status));
  }

 private:
  TimePoint within(double limit_s) const {
    return limit_s > 0 ? std::min(deadline_, now() + seconds(limit_s)) : deadline_;
  }
  base::Error timed_out(const char* waiting_for, double limit_s) const {
    const bool total = limit_s <= 0 || now() >= deadline_;
    return {base::Code::kDeadline,
            fmt::format("{} did not {} within {} s", call_.url.origin(),
                        total ? "finish its answer" : waiting_for, total ? call_.total_timeout_s : limit_s)};
  }

  Wire::Task<base::Status> exchange() {
    auto head = head_of(call_);
    if (!head) co_return head.error();
    const std::string bytes = *head + std::exchange(call_.body, {});
    for (bool may_reuse = true;; may_reuse = false) {
      if (aborted_) co_return cancelled();
      wire_ = may_reuse ? shared_.idle.take(call_.url.origin()) : nullptr;
      const bool reused = wire_ != nullptr;
      if (reused) {
        ++shared_.reused;
      } else {
        wire_ = std::make_unique<Wire>(shared_.context.get_executor(), shared_.tls, call_.url);
        ++shared_.opened;
        base::Status connected = co_await wire_->connect(within(call_.connect_timeout_s));
        if (!connected) co_return connected;
      }
      // A server may close a kept connection at any moment: then nothing of an answer comes, and a fresh one
      // is right.
      bool nothing_came = true;
      base::Status done = co_await send_and_receive(bytes, nothing_came);
      const bool stale = !done && done.error().code == base::Code::kIo && reused && nothing_came;
      if (!stale || aborted_) co_return done;
    }
  }

  Wire::Task<base::Status> send_and_receive(const std::string& bytes, bool& nothing_came) {
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

  base::Error broke_off(const base::Error& error) const {
    return {error.code, fmt::format("{}: {}", call_.url.origin(), error.message)};
  }

  base::Status parse(std::string& unparsed, const ResponseParser::OnBytes& on_bytes) {
    for (;;) {
      TRY_ASSIGN(const std::size_t taken, parser_->parse(unparsed));
      unparsed.erase(0, taken);
      if (!parser_->interim()) return {};
      parser_.emplace(false, &on_bytes);
      if (unparsed.empty()) return {};
    }
  }

  bool give(std::string_view piece) {
    give_head();
    return listener_->on_body(piece);
  }
  void give_head() {
    if (std::exchange(head_given_, true)) return;
    listener_->on_head(parser_->response().status, parser_->response().headers);
  }
  void finish(const std::string& unparsed) {
    give_head();
    if (const std::string& body = parser_->response().body; !body.empty()) listener_->on_body(body);
    if (parser_->reusable() && unparsed.empty() && !aborted_) {
      shared_.idle.keep(call_.url.origin(), std::move(wire_));
    }
  }

  Shared& shared_;
  AsyncCall call_;
  std::shared_ptr<ExchangeListener> listener_;
  const TimePoint deadline_;
  WirePtr wire_;
  std::optional<ResponseParser> parser_;
  std::array<char, 16 * 1024> chunk_;
  bool head_given_ = false;
  bool aborted_ = false;
  std::unique_ptr<base::CancelCallback> callback_;
};

/// A delayed call.
struct Delay : std::enable_shared_from_this<Delay> {
  Delay(asio::io_context& context, std::function<void()> given) : timer(context), fn(std::move(given)) {}
  void fire() {
    if (fired) return;
    fired = true;
    timer.cancel();
    callback.reset();
    std::exchange(fn, nullptr)();
  }
  asio::steady_timer timer;
  std::function<void()> fn;
  bool fired = false;
  std::unique_ptr<base::CancelCallback> callback;
};

class Client final : public AsyncClient {
 public:
  explicit Client(AsyncClientOptions options) : shared_(std::move(options)) {}
  ~Client() override { stop(); }

  base::Status open();
  void start(AsyncCall call, std::shared_ptr<ExchangeListener> listener,
             const base::CancelToken& cancel) override;
  void after(double delay_s, std::function<void()> fn, const base::CancelToken& cancel) override;
  void stop() override;
  AsyncClientStats stats() const override {
    return {.opened = shared_.opened, .reused = shared_.reused, .running = shared_.running};
  }

 private:
  void run();
  void end_if_idle() {
    if (stopping_ && exchanges_.empty() && delays_.empty()) work_.reset();
  }

  Shared shared_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{shared_.context.get_executor()};
  std::list<std::shared_ptr<Exchange>> exchanges_;  // these on the client's thread
  std::list<std::shared_ptr<Delay>> delays_;
  bool stopping_ = false;
  std::mutex mutex_;
  bool stopped_ = false;  // guarded by mutex_: nothing is posted any more
  std::thread thread_;
};

base::Status Client::open() {
  boost::system::error_code ec;
  if (shared_.options.ca_file.empty()) {
    shared_.tls.set_default_verify_paths(ec);
  } else {
    shared_.tls.load_verify_file(shared_.options.ca_file, ec);
  }
  if (ec) {
    return base::invalid(
        fmt::format("can't read certificates from {}: {}",
                    shared_.options.ca_file.empty() ? "the system" : shared_.options.ca_file, ec.message()),
        "ca_file");
  }
  thread_ = std::thread([this] { run(); });
  return {};
}

void Client::run() {
  for (;;) {
    try {
      shared_.context.run();
      return;
    } catch (const std::exception& error) {
      spdlog::error("a callback of the HTTP client threw: {}", error.what());
    }
  }
}

void Client::start(AsyncCall call, std::shared_ptr<ExchangeListener> listener,
                   const base::CancelToken& cancel) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopped_) {
      const auto exchange = std::make_shared<Exchange>(shared_, std::move(call), std::move(listener));
      exchange->watch(cancel);
      ++shared_.running;
      asio::post(shared_.context, [this, exchange] {
        const auto entry = exchanges_.insert(exchanges_.end(), exchange);
        if (stopping_) exchange->abort();
        asio::co_spawn(
            shared_.context.get_executor(), [exchange] { return exchange->run(); },
            [this, entry](const std::exception_ptr& failure) {
              if (failure) spdlog::error("an exchange of the HTTP client ended by an exception");
              exchanges_.erase(entry);
              --shared_.running;
              end_if_idle();
            });
      });
      return;
    }
  }
  listener->on_end(base::Error{base::Code::kUnavailable, "shutting down"});
}

void Client::after(double delay_s, std::function<void()> fn, const base::CancelToken& cancel) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopped_) {
      const auto delay = std::make_shared<Delay>(shared_.context, std::move(fn));
      delay->callback = cancel.on_cancel([weak = std::weak_ptr(delay), &context = shared_.context] {
        asio::post(context, [weak] {
          if (const auto self = weak.lock()) self->timer.cancel();
        });
      });
      asio::post(shared_.context, [this, delay, delay_s, cancel] {
        const auto entry = delays_.insert(delays_.end(), delay);
        const bool now_already = stopping_ || cancel.cancelled();
        delay->timer.expires_after(now_already ? seconds(0) : seconds(delay_s));
        delay->timer.async_wait([this, entry, delay](const boost::system::error_code&) {
          delay->fire();
          delays_.erase(entry);
          end_if_idle();
        });
      });
      return;
    }
  }
  fn();
}

void Client::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopped_, true)) return;
    if (!thread_.joinable()) return;
    asio::post(shared_.context, [this] {
      stopping_ = true;
      for (const auto& exchange : exchanges_) exchange->abort();
      for (const auto& delay : delays_) delay->timer.cancel();
      shared_.idle.clear();
      end_if_idle();
    });
  }
  thread_.join();
  shared_.idle.clear();
}

}  // namespace

base::Result<std::unique_ptr<AsyncClient>> AsyncClient::create(AsyncClientOptions options) {
  auto client = std::make_unique<Client>(std::move(options));
  TRY(client->open());
  return std::unique_ptr<AsyncClient>(std::move(client));
}

}  // namespace pmt::net
