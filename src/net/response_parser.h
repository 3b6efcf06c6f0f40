// Bytes -> an HTTP response, body pieces handed on as they arrive. One parser reads one response.
// Thread-safety: none.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <boost/beast/http/basic_parser.hpp>

#include "base/result.h"
#include "net/chunk_framing.h"
#include "net/http_client.h"

namespace pmt::net {

class ResponseParser final : private boost::beast::http::basic_parser<false> {
 public:
  /// Returns false to stop.
  using OnBytes = std::function<bool(std::string_view)>;

  /// `to_head`: the answer of a HEAD request, which has no body. With `on_bytes`, the body of a status below
  /// 400 goes there instead of into the response.
  ResponseParser(bool to_head, const OnBytes* on_bytes);

  /// Reads from the front of `bytes`; returns how many it took (the rest is to be offered again with what
  /// comes after). Errors: kCorrupt, it isn't HTTP.
  base::Result<std::size_t> parse(std::string_view bytes);
  /// The server closed. Errors: kIo, in the middle of the response.
  base::Status end();

  bool started() const { return got_some(); }
  bool done() const { return is_done() || stopped_; }
  /// True when the connection can be used again: the whole body was read and neither side wants to close.
  bool reusable() const { return is_done() && keep_alive(); }
  /// A 1xx: the real answer comes after it.
  bool interim() const { return is_done() && response_.status / 100 == 1; }
  /// What is known of it so far.
  const ClientResponse& response() const { return response_; }
  ClientResponse take_response() { return std::move(response_); }

 private:
  using error_code = boost::beast::error_code;
  using string_view = boost::beast::string_view;

  void on_request_impl(boost::beast::http::verb, string_view, string_view, int, error_code&) override {}
  void on_response_impl(int status, string_view reason, int version, error_code& ec) override;
  void on_field_impl(boost::beast::http::field, string_view name, string_view value, error_code& ec) override;
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(string_view body, error_code& ec) override;
  void on_chunk_header_impl(std::uint64_t size, string_view, error_code&) override { framing_.begin(size); }
  std::size_t on_chunk_body_impl(std::uint64_t remain, string_view body, error_code& ec) override;
  void on_finish_impl(error_code&) override {}

  const OnBytes* const on_bytes_;
  ClientResponse response_;
  ChunkFraming framing_;
  bool stopped_ = false;
};

}  // namespace pmt::net
