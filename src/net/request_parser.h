// Bytes -> HttpRequest, on Beast's parser, which fills our own message without a container of its own
// between. One parser reads one request. Thread-safety: none.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <boost/beast/http/basic_parser.hpp>

#include "net/chunk_framing.h"
#include "net/http.h"

namespace pmt::net {

/// Why a request is not taken; `message` is plain text without quotes or backslashes.
struct Rejection {
  int status = 400;
  std::string message;
};

class RequestParser final : private boost::beast::http::basic_parser<true> {
 public:
  struct Limits {
    std::size_t header_bytes_max;
    std::size_t body_bytes_max;
  };
  explicit RequestParser(const Limits& limits);

  /// Reads from the front of `bytes`; returns how many it took. The rest must be offered again, with what
  /// comes after it: until done(), it is an unfinished line, after that the next request.
  std::size_t parse(std::string_view bytes);

  bool started() const { return got_some(); }
  bool header_done() const { return is_header_done(); }
  bool done() const { return is_done(); }
  const std::optional<Rejection>& rejection() const { return rejection_; }
  bool http_1_1() const { return http_1_1_; }
  /// "" until the first line was read.
  std::string_view path() const { return request_.path; }
  bool keep_alive() const { return boost::beast::http::basic_parser<true>::keep_alive(); }
  /// True when the client waits for "100 Continue" before it sends the body.
  bool expects_continue() const { return expects_continue_ && http_1_1_ && request_.body.empty(); }
  HttpRequest take_request() { return std::move(request_); }

 private:
  using error_code = boost::beast::error_code;
  using string_view = boost::beast::string_view;

  void on_request_impl(boost::beast::http::verb verb, string_view method, string_view target, int version,
                       error_code& ec) override;
  void on_response_impl(int, string_view, int, error_code&) override {}
  void on_field_impl(boost::beast::http::field field, string_view name, string_view value,
                     error_code& ec) override;
  void on_header_impl(error_code& ec) override;
  void on_body_init_impl(const boost::optional<std::uint64_t>& content_length, error_code& ec) override;
  std::size_t on_body_impl(string_view body, error_code& ec) override;
  void on_chunk_header_impl(std::uint64_t size, string_view, error_code&) override { framing_.begin(size); }
  std::size_t on_chunk_body_impl(std::uint64_t remain, string_view body, error_code& ec) override;
  void on_finish_impl(error_code&) override {}

  void reject(int status, std::string message, error_code& ec);
  void reject_for(const error_code& ec);

  Limits limits_;
  HttpRequest request_;
  ChunkFraming framing_;
  std::size_t header_bytes_ = 0;
  bool http_1_1_ = false;
  bool has_host_ = false;
  std::optional<std::string>
      target_host_;  // of a target in absolute form: it counts, the Host header doesn't
  bool expects_continue_ = false;
  bool header_complete_ = false;
  std::optional<Rejection> rejection_;
};

}  // namespace pmt::net
