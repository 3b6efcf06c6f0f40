// One TCP connection of the asynchronous client, with or without TLS. No operation has a timer: whoever runs
// many of them calls check_deadline() from time to time. Thread-safety: its event loop's thread.
#pragma once

#include <memory>
#include <string>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

#include "base/result.h"
#include "net/asio_types.h"
#include "net/url.h"

namespace pmt::net {

class Wire {
 public:
  Wire(const Executor& executor, boost::asio::ssl::context& tls, const Url& url);

  /// Errors: kUnavailable with the reason, kDeadline.
  Task<base::Status> connect(TimePoint until);
  /// Errors: kIo, kDeadline.
  Task<base::Status> send(const std::string& bytes, TimePoint until);
  /// At least one byte, or 0 at the peer's end. Errors: kIo, kDeadline.
  Task<base::Result<std::size_t>> receive(char* into, std::size_t size, TimePoint until);
  /// Ends what is waiting, with an error.
  void close();
  /// Ends what has waited past its time, with kDeadline.
  void check_deadline(TimePoint now);

 private:
  Socket& tcp() { return tls_ ? tls_->next_layer() : *plain_; }
  base::Error explain(const boost::system::error_code& ec) const;
  base::Error explain_connect(const boost::system::error_code& ec) const;
  Task<base::Status> shake_hands();

  const Url url_;
  boost::asio::ip::basic_resolver<boost::asio::ip::tcp, Executor> resolver_;
  std::unique_ptr<Socket> plain_;  // one of the two
  std::unique_ptr<boost::asio::ssl::stream<Socket>> tls_;
  TimePoint until_ = TimePoint::max();
  bool timed_out_ = false;
  bool closed_ = false;
};

}  // namespace pmt::net
