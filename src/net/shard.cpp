#include "net/shard.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include "base/guard.h"

namespace pmt::net {
namespace asio = boost::asio;
namespace {

// How late a deadline may be noticed; timeouts are whole seconds.
constexpr std::chrono::milliseconds kSweepPeriod{200};

}  // namespace

Shard::Shard(const ServerOptions& options, const Handler& handler, std::atomic<std::size_t>* connections)
    : options_(options), handler_(handler), connection_count_(connections) {}

void Shard::run() {
  thread_ = std::thread([this] {
    loop_.enter();
    while (!base::survives({base::Thread::kHttp}, [this] { context_.run(); })) {
    }
  });
}

void Shard::adopt(Socket socket, Connection::Admission admission) {
  // dispatch() would do without the post on our own thread, but then a handler could run inside the accepting
  // code.
  asio::post(context_, [this, admission, socket = std::move(socket)]() mutable {
    serve(std::move(socket), admission);
  });
}

void Shard::serve(Socket socket, Connection::Admission admission) {
  if (stopping_) {
    --*connection_count_;
    return;
  }
  const auto entry = connections_.insert(
      connections_.end(), std::make_shared<Connection>(std::move(socket), options_, handler_, admission));
  asio::co_spawn(context_.get_executor(), (*entry)->run(), [this, entry](const std::exception_ptr& failure) {
    base::survives({base::Thread::kHttp}, [&failure] {
      if (failure) std::rethrow_exception(failure);
    });
    remove(entry);
  });
  if (!sweeping_) {
    sweeping_ = true;
    sweep();
  }
}

void Shard::remove(Connections::iterator connection) {
  (*connection)->leave();
  connections_.erase(connection);
  --*connection_count_;
  end_if_empty();
}

/// One timer for all connections: re-arming one each for every request would cost more than the request.
void Shard::sweep() {
  sweeping_ = !connections_.empty();
  if (!sweeping_) return;
  sweep_timer_.expires_after(kSweepPeriod);
  sweep_timer_.async_wait([this](const boost::system::error_code& ec) {
    if (ec) return;
    const auto now = std::chrono::steady_clock::now();
    for (const auto& connection : connections_)
      base::survives({base::Thread::kHttp}, [&] { connection->check_deadline(now); });
    sweep();
  });
}

void Shard::stop(int grace_ms) {
  asio::post(context_, [this, grace_ms] {
    stopping_ = true;
    for (const auto& connection : connections_) connection->drain();
    grace_timer_.expires_after(std::chrono::milliseconds(grace_ms));
    grace_timer_.async_wait([this](const boost::system::error_code& ec) {
      if (ec) return;
      for (const auto& connection : connections_) connection->leave();
    });
    end_if_empty();
  });
}

void Shard::end_if_empty() {
  if (!stopping_ || !connections_.empty()) return;
  sweep_timer_.cancel();
  grace_timer_.cancel();
  loop_.end();
  work_.reset();
}

}  // namespace pmt::net
