#include "api/json/json_writer.h"

#include <array>
#include <charconv>
#include <cmath>
#include <iterator>

#include <fmt/format.h>
#include <simdjson.h>

namespace pmt::api {
namespace {

constexpr char kHex[] = "0123456789abcdef";

void append_escaped(std::string& out, unsigned char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  out += "\\u00";
  out += kHex[c >> 4];
  out += kHex[c & 15];
}

/// Length of the well-formed sequence that `s` starts with, 0 if there is none (Unicode 15, table 3-7).
std::size_t sequence_length(std::string_view s) {
  const auto at = [&s](std::size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0U; };
  const auto continues = [&at](std::size_t i) { return (at(i) & 0xC0U) == 0x80U; };
  const unsigned a = at(0), b = at(1);
  if (a < 0x80) return 1;
  if (a >= 0xC2 && a <= 0xDF) return continues(1) ? 2 : 0;
  if (a >= 0xE0 && a <= 0xEF) {
    const bool second = (a != 0xE0 || b >= 0xA0) && (a != 0xED || b < 0xA0);
    return second && continues(1) && continues(2) ? 3 : 0;
  }
  if (a >= 0xF0 && a <= 0xF4) {
    const bool second = (a != 0xF0 || b >= 0x90) && (a != 0xF4 || b < 0x90);
    return second && continues(1) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

std::string repaired(std::string_view s) {
  std::string out;
  out.reserve(s.size() + 8);
  while (!s.empty()) {
    const std::size_t n = sequence_length(s);
    if (n == 0) {
      out += "\xEF\xBF\xBD";
    } else {
      out += s.substr(0, n);
    }
    s.remove_prefix(n == 0 ? 1 : n);
  }
  return out;
}

}  // namespace

bool is_utf8(std::string_view s) {
  return simdjson::validate_utf8(s.data(), s.size());
}

void append_string(std::string& out, std::string_view s) {
  std::string holder;
  if (!is_utf8(s)) {
    holder = repaired(s);
    s = holder;
  }
  out += '"';
  std::size_t plain = 0;
  for (std::size_t i = 0; i < s.size(); ++i) {
    const auto c = static_cast<unsigned char>(s[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(s, plain, i - plain);
    append_escaped(out, c);
    plain = i + 1;
  }
  out.append(s, plain, s.size() - plain);
  out += '"';
}

void append_int(std::string& out, std::int64_t v) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), v).ptr;
  out.append(digits.data(), end);
}

void append_double(std::string& out, double v) {
  if (!std::isfinite(v)) {
    out += "null";
    return;
  }
  fmt::format_to(std::back_inserter(out), "{}", v);
}

void append_strings(std::string& out, const std::vector<std::string>& items) {
  out += '[';
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += ',';
    append_string(out, items[i]);
  }
  out += ']';
}

std::string to_text(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

namespace {

/// What most members are is written here: the library's writer allocates five times for each value.
void append_value(std::string& out, const nlohmann::json& value) {
  switch (value.type()) {
    case nlohmann::json::value_t::string:
      return append_string(out, value.get_ref<const std::string&>());
    case nlohmann::json::value_t::number_integer:
      return append_int(out, value.get<std::int64_t>());
    case nlohmann::json::value_t::number_float:
      return append_double(out, value.get<double>());
    default:
      out += to_text(value);
  }
}

}  // namespace

void append_json(std::string& out, const nlohmann::json& value) {
  if (!value.is_object()) return append_value(out, value);
  out += '{';
  for (auto member = value.begin(); member != value.end(); ++member) {
    if (member != value.begin()) out += ',';
    append_string(out, member.key());
    out += ':';
    append_value(out, *member);
  }
  out += '}';
}

}  // namespace pmt::api
