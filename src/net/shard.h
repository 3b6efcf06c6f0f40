// One I/O thread's part of the server: an io_context and the connections that live on it.
#pragma once

#include <atomic>
#include <cstddef>
#include <list>
#include <memory>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "net/connection.h"
#include "net/io_loop.h"

namespace pmt::net {

/// Thread-safety: as said at each function.
class Shard {
 public:
  /// `connections` counts those of all shards: the accepting side adds, a shard subtracts. All outlive it.
  Shard(const ServerOptions& options, const Handler& handler, std::atomic<std::size_t>* connections);
  /// Requires: stop() and join() before, if run() was called.
  ~Shard() = default;

  boost::asio::io_context& context() { return context_; }
  /// Starts the thread.
  void run();
  /// Any thread: takes over a socket made for context().
  void adopt(Socket socket, Connection::Admission admission);
  /// Any thread: lets running answers finish for at most `grace_ms`, closes, and ends the thread.
  void stop(int grace_ms);
  void join() { thread_.join(); }

 private:
  using Connections = std::list<std::shared_ptr<Connection>>;

  void serve(Socket socket, Connection::Admission admission);
  void remove(Connections::iterator connection);
  void sweep();
  void end_if_empty();

  const ServerOptions& options_;
  const Handler& handler_;
  std::atomic<std::size_t>* const connection_count_;
  boost::asio::io_context context_{1};  // one thread: posts from it need no wake-up
  IoLoop loop_{context_};
  boost::asio::executor_work_guard<Executor> work_{context_.get_executor()};
  Timer sweep_timer_{context_.get_executor()};
  Timer grace_timer_{context_.get_executor()};
  bool sweeping_ = false;
  bool stopping_ = false;
  Connections connections_;
  std::thread thread_;
};

}  // namespace pmt::net
