#include "upstream/upstream_error.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include <fmt/format.h>

#include "base/json.h"

namespace pmt::upstream {
namespace {

using base::Code;
using nlohmann::json;

constexpr std::size_t kShownMax = 400;
constexpr double kWaitMaxS = 1e6;

std::string shown(std::string_view text) {
  std::string out(text.substr(0, kShownMax));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  if (text.size() > kShownMax) out += "...";
  return out;
}

/// {"error": {"message"}}, {"error": "..."}, {"message"}, {"detail"}; else the text itself.
std::string message_of(const json& body) {
  if (const auto* text = body.get_ptr<const std::string*>()) return shown(*text);
  for (const char* key : {"error", "message", "detail"}) {
    const json& inner = base::at(body, key);
    if (inner.is_null()) continue;
    if (std::string message = message_of(inner); !message.empty()) return message;
  }
  return {};
}

Code code_of(int status) {
  switch (status) {
    case 401:
    case 403:
      return Code::kUnauthorized;
    case 404:
      return Code::kNotFound;
    case 408:
      return Code::kDeadline;
    case 413:
      return Code::kTooLarge;
    case 429:
      return Code::kExhausted;
    default:
      return status >= 500 ? Code::kUnavailable : Code::kInvalidArgument;
  }
}

}  // namespace

base::Error status_error(int status, const net::Headers& headers, std::string_view body,
                         std::int64_t now_unix_s) {
  const auto parsed = base::parse_json(body);
  std::string message = parsed ? message_of(*parsed) : shown(body);
  base::Error error{code_of(status),
                    fmt::format("it answered {}{}{}", status, message.empty() ? "" : ": ", message)};
  if (parsed && error.code == Code::kInvalidArgument)
    error.field = shown(base::text_at(base::at(*parsed, "error"), "param"));
  for (const auto& [name, value] : headers) {
    if (name == "retry-after") error.retry_after_s = retry_after(value, now_unix_s);
  }
  return error;
}

base::Error stream_error(const json& error) {
  int status = 500;
  for (const char* key : {"code", "status"}) {
    const auto told = base::integer_at(error, key);
    if (told) status = *told >= 400 && *told <= 599 ? static_cast<int>(*told) : 500;
  }
  return {code_of(status), fmt::format("it ended its answer with an error: {}", message_of(error))};
}

double retry_after(std::string_view value, std::int64_t now_unix_s) {
  double seconds = 0;
  const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (failed == std::errc() && end == value.data() + value.size()) {
    return seconds > 0 ? std::min(seconds, kWaitMaxS) : 0;  // not for NaN either
  }
  std::tm date{};
  const std::string text(value);
  if (const char* rest = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
      rest != nullptr && *rest == '\0') {
    return std::clamp(static_cast<double>(timegm(&date) - now_unix_s), 0.0, kWaitMaxS);
  }
  return 0;
}

bool is_retryable(Code code) {
  switch (code) {
    case Code::kExhausted:
    case Code::kUnavailable:
    case Code::kDeadline:
    case Code::kCorrupt:
    case Code::kIo:
    case Code::kBadGateway:
    case Code::kInternal:
      return true;
    default:
      return false;
  }
}

}  // namespace pmt::upstream
