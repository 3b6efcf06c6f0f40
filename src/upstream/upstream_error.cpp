#include "upstream/upstream_error.h"

#include <algorithm>
#include <array>
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
  if (body.is_array() && !body.empty()) return message_of(body.front());  // Gemini's
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

/// A word of an error: text, or a number as text.
std::string word_at(const json& error, const char* key) {
  const json& value = base::at(error, key);
  return value.is_number() ? value.dump() : shown(base::text_at(error, key));
}

/// The object that tells of it: {"error": {...}}, [{"error": {...}}] (Gemini), or the body itself (vLLM).
const json& told_by(const json& body) {
  const json& one = body.is_array() && !body.empty() ? body.front() : body;
  const json& error = base::at(one, "error");
  return error.is_null() && base::at(one, "message").is_string() ? one : error;
}

/// Null where it isn't an error in such a shape, or says nothing. A code that only repeats the status is none.
std::shared_ptr<const base::ForeignRefusal> foreign_of(const json& error, int status) {
  if (!error.is_object()) return nullptr;
  base::ForeignRefusal told{
      .status = status <= 599 ? status : 0, .type = word_at(error, "type"), .code = word_at(error, "code")};
  if (told.code == std::to_string(status)) told.code.clear();
  if (status >= 500 && told.type.empty() && told.code.empty())
    return nullptr;  // it says no more than that it is down
  return std::make_shared<base::ForeignRefusal>(std::move(told));
}

}  // namespace

base::Error status_error(int status, const net::Headers& headers, std::string_view body,
                         std::int64_t now_unix_s) {
  const auto parsed = base::parse_json(body);
  std::string message = parsed ? message_of(*parsed) : shown(body);
  base::Error error{code_of(status),
                    fmt::format("it answered {}{}{}", status, message.empty() ? "" : ": ", message)};
  if (parsed) {
    const json& told = told_by(*parsed);
    if (error.code == Code::kInvalidArgument) error.field = shown(base::text_at(told, "param"));
    if (status != 401) error.foreign = foreign_of(told, status);
  }
  for (const auto& [name, value] : headers) {
    if (name == "retry-after") error.retry_after_s = retry_after(value, now_unix_s);
  }
  return error;
}

base::Error garbage(const std::string& what, std::string_view api) {
  return {Code::kBadGateway, fmt::format("its answer is not {}: {}", api, what)};
}

namespace {

base::Error error_inside(const json& error, int status) {
  base::Error out{code_of(status), fmt::format("it ended its answer with an error: {}", message_of(error))};
  if (out.code != Code::kUnauthorized) out.foreign = foreign_of(error, 0);
  return out;
}

int status_of_word(std::string_view word) {
  struct Meaning {
    std::string_view word;
    int status;
  };
  static constexpr std::array<Meaning, 12> kMeanings = {{{"invalid_request_error", 400},
                                                         {"authentication_error", 401},
                                                         {"billing_error", 402},
                                                         {"permission_error", 403},
                                                         {"not_found_error", 404},
                                                         {"request_too_large", 413},
                                                         {"rate_limit_error", 429},
                                                         {"rate_limit_exceeded", 429},
                                                         {"invalid_prompt", 400},
                                                         {"invalid_image", 400},
                                                         {"invalid_image_url", 400},
                                                         {"image_too_large", 400}}};
  const auto* const found =
      std::find_if(kMeanings.begin(), kMeanings.end(), [word](const Meaning& m) { return m.word == word; });
  return found == kMeanings.end() ? 0 : found->status;
}

}  // namespace

base::Error typed_error(const json& error) {
  for (const char* key : {"code", "type"}) {
    if (const int status = status_of_word(base::text_at(error, key)); status != 0)
      return error_inside(error, status);
  }
  return stream_error(error);
}

base::Error stream_error(const json& error) {
  int status = 500;
  for (const char* key : {"code", "status"}) {
    const auto told = base::integer_at(error, key);
    if (told) status = *told >= 400 && *told <= 599 ? static_cast<int>(*told) : 500;
  }
  return error_inside(error, status);
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

bool is_retryable(const base::Error& error) {
  return is_retryable(error.code) && !(error.foreign && error.foreign->code == "insufficient_quota");
}

}  // namespace pmt::upstream
