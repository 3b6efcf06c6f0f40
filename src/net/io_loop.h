// The event loop that a server's thread runs, for a client that may work there as a guest: what a handler
// asks of another server is then asked and answered on the handler's own thread, without waking a second one.
//
// Thread-safety: the loop's own thread.
#pragma once

#include <functional>
#include <vector>

#include <boost/asio/io_context.hpp>

namespace pmt::net {

class IoLoop {
 public:
  explicit IoLoop(boost::asio::io_context& context) : context_(context) {}

  /// That of the calling thread. Null: it has none, or one that takes no guests any more.
  static IoLoop* current();
  /// Makes it the calling thread's.
  void enter();

  boost::asio::io_context& context() { return context_; }
  /// Called once, when the loop has no work of its own any more. It goes on until its guests have none
  /// either.
  void at_end(std::function<void()> fn) { guests_.push_back(std::move(fn)); }
  /// Takes no guests any more and tells those that it has. Idempotent.
  void end();

 private:
  boost::asio::io_context& context_;
  std::vector<std::function<void()>> guests_;
};

}  // namespace pmt::net
