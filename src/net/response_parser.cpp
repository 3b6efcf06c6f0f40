#include "net/response_parser.h"

#include <algorithm>
#include <cctype>
#include <limits>

#include <fmt/format.h>
#include <boost/beast/http/error.hpp>

namespace pmt::net {
namespace http = boost::beast::http;

ResponseParser::ResponseParser(bool to_head, const OnBytes* on_bytes) : on_bytes_(on_bytes) {
  eager(true);
  skip(to_head);
  header_limit(256 * 1024);
  // No limit; Beast 1.74 takes boost::none for a limit of nothing where a length is announced.
  body_limit(std::numeric_limits<std::uint64_t>::max());
}

base::Result<std::size_t> ResponseParser::parse(std::string_view bytes) {
  if (is_header_done() && chunked() && framing_.may_be_cut_end(bytes)) return std::size_t{0};
  error_code ec;
  const std::size_t taken = put(boost::asio::buffer(bytes.data(), bytes.size()), ec);
  if (!ec || ec == http::error::need_more || stopped_) return taken;
  return base::Error{base::Code::kCorrupt, fmt::format("the server's answer is not HTTP: {}", ec.message())};
}

base::Status ResponseParser::end() {
  error_code ec;
  if (got_some()) put_eof(ec);
  if (got_some() && !ec) return {};
  return base::Error{base::Code::kIo, "the server closed the connection before its answer was complete"};
}

void ResponseParser::on_response_impl(int status, string_view, int, error_code&) {
  response_.status = status;
}

void ResponseParser::on_field_impl(http::field, string_view name, string_view value, error_code&) {
  std::string lower(name.data(), name.size());
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  response_.headers.emplace_back(std::move(lower), std::string(value.data(), value.size()));
}

std::size_t ResponseParser::on_body_impl(string_view body, error_code& ec) {
  const std::string_view bytes(body.data(), body.size());
  if (on_bytes_ == nullptr || response_.status >= 400) {
    response_.body.append(bytes);
  } else if (!(*on_bytes_)(bytes)) {
    stopped_ = true;
    ec = http::error::end_of_stream;
  }
  return body.size();
}

std::size_t ResponseParser::on_chunk_body_impl(std::uint64_t remain, string_view body, error_code& ec) {
  framing_.take(remain, body.size());
  return on_body_impl(body, ec);
}

}  // namespace pmt::net
