#include "upstream/upstream_error.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include <fmt/format.h>

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
  if (body.is_string()) return shown(body.get_ref<const std::string&>());
  if (!body.is_object()) return {};
  for (const char* key : {"error", "message", "detail"}) {
    if (const auto found = body.find(key); found != body.end()) {
      if (std::string message = message_of(*found); !message.empty()) return message;
    }
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
  const json parsed = json::parse(body, nullptr, false);
  std::string message = parsed.is_discarded() ? shown(body) : message_of(parsed);
  base::Error error{code_of(status),
                    fmt::format("it answered {}{}{}", status, message.empty() ? "" : ": ", message)};
  if (const json* details = parsed.is_object() && parsed.contains("error") ? &parsed["error"] : nullptr;
      details != nullptr && details->is_object() && error.code == Code::kInvalidArgument) {
    if (const auto param = details->find("param"); param != details->end() && param->is_string())
      error.field = shown(param->get_ref<const std::string&>());
  }
  for (const auto& [name, value] : headers) {
    if (name == "retry-after") error.retry_after_s = retry_after(value, now_unix_s);
  }
  return error;
}

base::Error stream_error(const json& error) {
  int status = 500;
  if (error.is_object()) {
    for (const char* key : {"code", "status"}) {
      if (const auto found = error.find(key); found != error.end() && found->is_number_integer())
        status = found->get<int>();
    }
  }
  if (status < 400 || status > 599) status = 500;
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
