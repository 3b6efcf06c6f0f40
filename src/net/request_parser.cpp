#include "net/request_parser.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>

#include "net/target.h"

namespace pmt::net {
namespace http = boost::beast::http;
namespace {

// A client may announce a body that it never sends: more than this is reserved only as bytes arrive.
constexpr std::uint64_t kReserveBytesMax = 1024 * 1024;
// The longest line between two chunks (its size and extensions), or all trailers.
constexpr std::size_t kChunkLineBytesMax = 16 * 1024;
constexpr std::size_t kUsualHeaders = 16;

std::string in_case(boost::beast::string_view text, int (*convert)(int)) {
  std::string out(text.size(), '\0');
  std::transform(text.begin(), text.end(), out.begin(),
                 [convert](char c) { return static_cast<char>(convert(static_cast<unsigned char>(c))); });
  return out;
}

}  // namespace

RequestParser::RequestParser(const Limits& limits) : limits_(limits) {
  eager(true);
  const std::size_t u32_max = std::numeric_limits<std::uint32_t>::max();
  header_limit(static_cast<std::uint32_t>(std::min(limits.header_bytes_max, u32_max)));
  body_limit(limits.body_bytes_max);
}

std::size_t RequestParser::parse(std::string_view bytes) {
  std::size_t taken = 0;
  // Some clients end a body with a line break that belongs to nothing (RFC 9112, 2.2).
  while (!started() && bytes.size() >= taken + 2 && bytes.substr(taken, 2) == "\r\n") taken += 2;
  bytes.remove_prefix(taken);
  if (bytes.empty() || (!started() && bytes == "\r")) return taken;
  if (header_done() && chunked() && framing_.may_be_cut_end(bytes)) return taken;
  error_code ec;
  const std::size_t parsed = put(boost::asio::buffer(bytes.data(), bytes.size()), ec);
  taken += parsed;
  if (ec && ec != http::error::need_more) {
    reject_for(ec);
  } else if (!done() && header_done() && bytes.size() - parsed > kChunkLineBytesMax) {
    rejection_ = Rejection{400, "a line of the chunked body is too long"};
  }
  return taken;
}

void RequestParser::on_request_impl(http::verb, string_view method, string_view target, int version,
                                    error_code& ec) {
  request_.method = in_case(method, ::toupper);
  request_.headers.reserve(kUsualHeaders);
  http_1_1_ = version >= 11;
  header_bytes_ = method.size() + target.size();
  if (!decode_target({target.data(), target.size()}, &request_)) {
    reject(400, "the request's path or query has a % that two hexadecimal digits don't follow", ec);
  }
  target_host_ = target_authority({target.data(), target.size()});
}

void RequestParser::on_field_impl(http::field field, string_view name, string_view value, error_code& ec) {
  header_bytes_ += name.size() + value.size() + 4;
  if (header_bytes_ > limits_.header_bytes_max) {
    ec = http::error::header_limit;
    return;
  }
  // A trailer must not pass for a header: it comes after the checks that headers decide.
  if (header_complete_) return;
  if (field == http::field::host && std::exchange(has_host_, true)) {
    // Whoever decides by the first and whoever decides by the last would not mean the same host.
    return reject(400, "a request may have one Host header only", ec);
  }
  if (field == http::field::expect && boost::beast::iequals(value, "100-continue")) expects_continue_ = true;
  if (field == http::field::transfer_encoding && !boost::beast::iequals(value, "chunked")) {
    reject(501, "the only transfer encoding taken is chunked", ec);
    return;
  }
  request_.headers.emplace_back(in_case(name, ::tolower), std::string(value.data(), value.size()));
}

void RequestParser::on_header_impl(error_code& ec) {
  header_complete_ = true;
  if (http_1_1_ && !has_host_) reject(400, "an HTTP/1.1 request needs a Host header", ec);
  if (!target_host_) return;
  std::erase_if(request_.headers, [](const auto& header) { return header.first == "host"; });
  request_.headers.emplace_back("host", *target_host_);  // RFC 9112, 3.2.2
}

void RequestParser::on_body_init_impl(const boost::optional<std::uint64_t>& content_length, error_code&) {
  if (content_length) request_.body.reserve(std::min(*content_length, kReserveBytesMax));
}

std::size_t RequestParser::on_body_impl(string_view body, error_code&) {
  request_.body.append(body.data(), body.size());
  return body.size();
}

std::size_t RequestParser::on_chunk_body_impl(std::uint64_t remain, string_view body, error_code& ec) {
  framing_.take(remain, body.size());
  return on_body_impl(body, ec);
}

void RequestParser::reject(int status, std::string message, error_code& ec) {
  rejection_ = Rejection{status, std::move(message)};
  ec = http::error::bad_value;
}

void RequestParser::reject_for(const error_code& ec) {
  if (rejection_) return;
  if (ec == http::error::body_limit) {
    rejection_ = Rejection{
        413, fmt::format("the request body is larger than the limit of {} bytes", limits_.body_bytes_max)};
  } else if (ec == http::error::header_limit) {
    rejection_ = Rejection{431, fmt::format("the request's headers are larger than the limit of {} bytes",
                                            limits_.header_bytes_max)};
  } else {
    rejection_ = Rejection{400, fmt::format("malformed HTTP request: {}", ec.message())};
  }
}

}  // namespace pmt::net
