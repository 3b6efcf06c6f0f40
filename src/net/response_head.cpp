#include "net/response_head.h"

#include <algorithm>
#include <ctime>

#include <fmt/format.h>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/status.hpp>

namespace pmt::net {
namespace {

bool same(std::string_view a, std::string_view b) {
  return boost::beast::iequals({a.data(), a.size()}, {b.data(), b.size()});
}

bool is_framing(std::string_view name) {
  return same(name, "content-length") || same(name, "transfer-encoding") || same(name, "connection") ||
         same(name, "date");
}

/// RFC 9110's IMF-fixdate, formatted once a second and thread (strftime would follow the locale).
std::string_view http_date() {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  thread_local std::time_t second = -1;
  thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now != second) {
    std::tm utc{};
    gmtime_r(&now, &utc);
    text = fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[utc.tm_wday], utc.tm_mday,
                       kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
    second = now;
  }
  return text;
}

void append_one_line(std::string_view value, std::string* out) {
  const std::size_t begin = out->size();
  out->append(value);
  std::replace_if(
      out->begin() + static_cast<std::ptrdiff_t>(begin), out->end(),
      [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
}

void append_number(std::size_t number, std::string* out) {
  const fmt::format_int digits(number);
  out->append(digits.data(), digits.size());
}

}  // namespace

void append_head(const HttpResponse& response, const HeadFraming& framing, std::string* out) {
  const auto reason = boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(response.status));
  out->append(kHeadStart);
  append_number(static_cast<std::size_t>(response.status), out);
  out->append(" ").append(reason.data(), reason.size()).append("\r\ndate: ").append(http_date());
  if (framing.content_length) {
    out->append("\r\ncontent-length: ");
    append_number(*framing.content_length, out);
  } else if (framing.http_1_1 && !is_bodiless(response.status)) {
    out->append("\r\ntransfer-encoding: chunked");
  }
  if (!framing.keep_alive) {
    out->append("\r\nconnection: close");
  } else if (!framing.http_1_1) {
    out->append("\r\nconnection: keep-alive");
  }
  for (const auto& [name, value] : response.headers) {
    if (is_framing(name)) continue;
    out->append("\r\n");
    append_one_line(name, out);
    out->append(": ");
    append_one_line(value, out);
  }
  out->append("\r\n\r\n");
}

bool asks_to_close(const HttpResponse& response) {
  for (const auto& [name, value] : response.headers) {
    if (same(name, "connection") && same(value, "close")) return true;
  }
  return false;
}

bool is_bodiless(int status) {
  return status / 100 == 1 || status == 204 || status == 304;
}

HttpResponse error_response(int status, std::string_view message) {
  const std::string_view type = status >= 500 ? "server_error" : "invalid_request_error";
  return {.status = status,
          .headers = {{"content-type", "application/json"}},
          .body = fmt::format(R"({{"error":{{"message":"{}","type":"{}","param":null,"code":null}}}})",
                              message, type)};
}

}  // namespace pmt::net
