// The parts of net::AsyncClient: one request with its answer, and the lane of an event loop on which
// exchanges run and connections are kept.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>

#include "net/async_client.h"
#include "net/response_parser.h"
#include "net/wire.h"

namespace pmt::net {

/// Connections that wait for their next request, newest used first. Thread-safety: their loop's thread.
class IdlePool {
 public:
  explicit IdlePool(const AsyncClientOptions& options) : options_(options) {}
  std::unique_ptr<Wire> take(const std::string& origin);
  void keep(const std::string& origin, std::unique_ptr<Wire> wire);
  void clear();

 private:
  const AsyncClientOptions& options_;
  std::map<std::string, std::deque<std::pair<TimePoint, std::unique_ptr<Wire>>>> idle_;
  std::size_t size_ = 0;
};

/// What a client's lanes have in common.
struct ClientShared {
  explicit ClientShared(AsyncClientOptions given) : options(std::move(given)) {}
  const AsyncClientOptions options;
  boost::asio::ssl::context tls{boost::asio::ssl::context::tls_client};
  std::atomic<std::uint64_t> opened{0}, reused{0};
  std::atomic<std::int64_t> running{0};
};

class Lane;

/// Thread-safety: its lane's thread; watch() any, before it runs.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  /// `lane` outlives it.
  Exchange(Lane& lane, AsyncCall call, std::shared_ptr<ExchangeListener> listener);
  void watch(const base::CancelToken& cancel);
  void abort();
  void check_deadline(TimePoint now);
  Task<void> run();

 private:
  TimePoint within(double limit_s) const;
  base::Error timed_out(const char* waiting_for, double limit_s) const;
  base::Error broke_off(const base::Error& error) const;
  Task<base::Status> exchange();
  Task<base::Status> send_and_receive(const std::string& bytes, bool& nothing_came);
  base::Status parse(std::string& unparsed, const ResponseParser::OnBytes& on_bytes);
  bool give(std::string_view piece);
  void give_head();
  void finish(const std::string& unparsed);

  Lane& lane_;
  AsyncCall call_;
  std::shared_ptr<ExchangeListener> listener_;
  const TimePoint deadline_;
  std::unique_ptr<Wire> wire_;
  std::optional<ResponseParser> parser_;
  std::array<char, 2 * 1024> chunk_;
  bool head_given_ = false;
  bool aborted_ = false;
  std::unique_ptr<base::CancelCallback> callback_;
};

/// Thread-safety: the loop's thread, save context(), shared() and start().
class Lane : public std::enable_shared_from_this<Lane> {
 public:
  /// `on_finished`: called once, after end(), when no exchange is left.
  Lane(boost::asio::io_context& context, std::shared_ptr<ClientShared> shared,
       std::function<void()> on_finished);

  boost::asio::io_context& context() { return context_; }
  ClientShared& shared() { return *shared_; }
  IdlePool& idle() { return idle_; }
  /// Any thread, as long as the loop runs and end() wasn't asked for.
  void start(AsyncCall call, std::shared_ptr<ExchangeListener> listener, const base::CancelToken& cancel);
  /// Cancels what runs here and closes what is kept. Idempotent.
  void end();

 private:
  void run(const std::shared_ptr<Exchange>& exchange);
  void sweep();
  void finish_if_empty();

  boost::asio::io_context& context_;
  const std::shared_ptr<ClientShared> shared_;
  std::function<void()> on_finished_;
  IdlePool idle_;
  std::list<std::shared_ptr<Exchange>> exchanges_;
  std::atomic<int> active_{0};  // started and not ended
  Timer sweep_timer_;
  bool sweeping_ = false;
  bool ending_ = false;
};

}  // namespace pmt::net
