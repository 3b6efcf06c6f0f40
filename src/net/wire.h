// One TCP connection of the asynchronous client, with or without TLS. Thread-safety: its executor's thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include "base/result.h"
#include "net/url.h"

namespace pmt::net {

class Wire {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  template <class T>
  using Task = boost::asio::awaitable<T>;

  Wire(const boost::asio::any_io_executor& executor, boost::asio::ssl::context& tls, const Url& url);

  /// Errors: kUnavailable with the reason, kDeadline.
  Task<base::Status> connect(TimePoint until);
  /// Errors: kIo, kDeadline.
  Task<base::Status> send(const std::string& bytes, TimePoint until);
  /// At least one byte, or 0 at the peer's end. Errors: kIo, kDeadline.
  Task<base::Result<std::size_t>> receive(char* into, std::size_t size, TimePoint until);
  /// Ends what is waiting, with an error.
  void close();

 private:
  boost::beast::tcp_stream& tcp() { return tls_ ? tls_->next_layer() : *plain_; }
  base::Error explain_connect(const boost::system::error_code& ec) const;
  Task<base::Status> shake_hands();

  const Url url_;
  boost::asio::ip::tcp::resolver resolver_;
  std::unique_ptr<boost::beast::tcp_stream> plain_;  // one of the two
  std::unique_ptr<boost::asio::ssl::stream<boost::beast::tcp_stream>> tls_;
  bool closed_ = false;
};

}  // namespace pmt::net
