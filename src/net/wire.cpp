#include "net/wire.h"

#include <fmt/format.h>
#include <boost/asio/connect.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/write.hpp>

namespace pmt::net {
namespace asio = boost::asio;
using boost::system::error_code;
namespace {

/// The peer ended. Without TLS's own goodbye too: HTTP's framing tells whether something is missing.
bool is_end(const error_code& ec) {
  return ec == asio::error::eof || ec == asio::ssl::error::stream_truncated;
}

}  // namespace

Wire::Wire(const Executor& executor, asio::ssl::context& tls, const Url& url)
    : url_(url), resolver_(executor) {
  if (url.tls) {
    tls_ = std::make_unique<asio::ssl::stream<Socket>>(Socket(executor), tls);
  } else {
    plain_ = std::make_unique<Socket>(executor);
  }
}

base::Error Wire::explain(const error_code& ec) const {
  if (timed_out_) return {base::Code::kDeadline, "timed out"};
  return {base::Code::kIo, ec.message()};
}

base::Error Wire::explain_connect(const error_code& ec) const {
  if (timed_out_) {
    return {base::Code::kDeadline, fmt::format("connecting to {} timed out", url_.origin())};
  }
  return {base::Code::kUnavailable, fmt::format("can't connect to {}: {}", url_.origin(), ec.message())};
}

Task<base::Status> Wire::connect(TimePoint until) {
  error_code ec;
  const auto found = co_await resolver_.async_resolve(url_.host, url_.port, asio::redirect_error(kAwait, ec));
  if (ec) co_return explain_connect(ec);
  if (closed_) co_return explain_connect(asio::error::operation_aborted);
  until_ = until;
  co_await asio::async_connect(tcp(), found, asio::redirect_error(kAwait, ec));
  if (ec) co_return explain_connect(ec);
  error_code ignored;
  tcp().set_option(asio::ip::tcp::no_delay(true), ignored);
  tcp().set_option(asio::socket_base::keep_alive(true), ignored);
  if (!tls_) co_return base::Status();
  co_return co_await shake_hands();
}

Task<base::Status> Wire::shake_hands() {
  error_code ec;
  tls_->set_verify_mode(asio::ssl::verify_peer);
  tls_->set_verify_callback(asio::ssl::host_name_verification(url_.host));
  // Servers of many names choose their certificate by this one.
  SSL_set_tlsext_host_name(tls_->native_handle(), url_.host.c_str());
  co_await tls_->async_handshake(asio::ssl::stream_base::client, asio::redirect_error(kAwait, ec));
  if (!ec) co_return base::Status();
  const long verified = SSL_get_verify_result(tls_->native_handle());
  if (verified != X509_V_OK) {
    co_return base::Error{base::Code::kUnavailable,
                          fmt::format("the certificate of {} can't be trusted: {}", url_.origin(),
                                      X509_verify_cert_error_string(verified))};
  }
  co_return explain_connect(ec);
}

Task<base::Status> Wire::send(const std::string& bytes, TimePoint until) {
  error_code ec;
  until_ = until;
  if (tls_) {
    co_await asio::async_write(*tls_, asio::buffer(bytes), asio::redirect_error(kAwait, ec));
  } else {
    co_await asio::async_write(*plain_, asio::buffer(bytes), asio::redirect_error(kAwait, ec));
  }
  if (ec) co_return explain(ec);
  co_return base::Status();
}

Task<base::Result<std::size_t>> Wire::receive(char* into, std::size_t size, TimePoint until) {
  error_code ec;
  std::size_t got = 0;
  until_ = until;
  if (tls_) {
    got = co_await tls_->async_read_some(asio::buffer(into, size), asio::redirect_error(kAwait, ec));
  } else {
    got = co_await plain_->async_read_some(asio::buffer(into, size), asio::redirect_error(kAwait, ec));
  }
  until_ = TimePoint::max();
  if (ec && !is_end(ec)) co_return explain(ec);
  co_return got;
}

void Wire::close() {
  closed_ = true;
  resolver_.cancel();
  error_code ignored;
  tcp().close(ignored);
}

void Wire::check_deadline(TimePoint now) {
  if (now < until_ || closed_) return;
  timed_out_ = true;
  close();
}

}  // namespace pmt::net
