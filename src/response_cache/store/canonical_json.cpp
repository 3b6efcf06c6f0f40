#include "response_cache/store/canonical_json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <vector>

namespace pmt::response_cache {
namespace {

using json = nlohmann::json;

// UTF-8 bytes sort by code point. UTF-16 differs in one way: code points past U+FFFF (first byte F0..F4)
// start with a surrogate and so come before U+E000..U+FFFF (first byte EE or EF).
unsigned weight(char c) {
  const auto b = static_cast<unsigned char>(c);
  return b == 0xEE || b == 0xEF ? b + 0x10U : b;
}

/// ECMAScript's Number::toString, from the shortest digits: `digits` x 10^(point - digits.size()).
void append_decimal(std::string& out, std::string_view digits, int point) {
  const int count = static_cast<int>(digits.size());
  if (count <= point && point <= 21) {
    out.append(digits).append(static_cast<std::size_t>(point - count), '0');
  } else if (0 < point && point <= 21) {
    out.append(digits.substr(0, point)).append(".").append(digits.substr(point));
  } else if (-6 < point && point <= 0) {
    out.append("0.").append(static_cast<std::size_t>(-point), '0').append(digits);
  } else {
    out.append(digits.substr(0, 1));
    if (count > 1) out.append(".").append(digits.substr(1));
    out.append(point > 0 ? "e+" : "e-").append(std::to_string(std::abs(point - 1)));
  }
}

void append_escaped(std::string& out, char c) {
  static constexpr char kHex[] = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
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
      out.append("\\u00") += kHex[c >> 4];
      out += kHex[c & 15];
  }
}

void append_scalar(std::string& out, const json& value) {
  switch (value.type()) {
    case json::value_t::string:
      append_canonical_string(out, value.get_ref<const std::string&>());
      return;
    case json::value_t::boolean:
      out += value.get<bool>() ? "true" : "false";
      return;
    case json::value_t::number_integer:
      out += std::to_string(value.get<std::int64_t>());
      return;
    case json::value_t::number_unsigned:
      out += std::to_string(value.get<std::uint64_t>());
      return;
    case json::value_t::number_float:
      append_canonical_number(out, value.get<double>());
      return;
    default:
      out += "null";
      return;
  }
}

/// A container being written: its items in order, and how far we are.
struct Frame {
  explicit Frame(const json& container) : is_object(container.is_object()) {
    items.reserve(container.size());
    for (auto it = container.begin(); it != container.end(); ++it) items.push_back(it);
    if (is_object) {
      std::sort(items.begin(), items.end(),
                [](const auto& a, const auto& b) { return utf16_less(a.key(), b.key()); });
    }
  }
  bool is_object;
  std::vector<json::const_iterator> items;
  std::size_t next = 0;
};

}  // namespace

bool utf16_less(std::string_view a, std::string_view b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [](char x, char y) { return weight(x) < weight(y); });
}

void append_canonical_string(std::string& out, std::string_view text) {
  out += '"';
  std::size_t plain_from = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20) continue;
    out.append(text.substr(plain_from, i - plain_from));
    append_escaped(out, c);
    plain_from = i + 1;
  }
  out.append(text.substr(plain_from)) += '"';
}

void append_canonical_number(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  if (value == 0) {  // also -0
    out += '0';
    return;
  }
  // d.ddde[+-]xx: the shortest digits that read back as the same double.
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::abs(value),
                                 std::chars_format::scientific)
                       .ptr;
  const char* exponent_at = std::find(buffer.data(), end, 'e');
  int exponent = 0;
  std::from_chars(exponent_at + (exponent_at[1] == '+' ? 2 : 1), end, exponent);
  std::array<char, 32> digits;
  char* digits_end =
      std::remove_copy(static_cast<const char*>(buffer.data()), exponent_at, digits.data(), '.');
  if (value < 0) out += '-';
  append_decimal(out, std::string_view(digits.data(), static_cast<std::size_t>(digits_end - digits.data())),
                 exponent + 1);
}

void append_canonical(std::string& out, const json& root) {
  std::vector<Frame> open;
  const auto begin = [&](const json& value) {
    if (!value.is_structured()) return append_scalar(out, value);
    out += value.is_object() ? '{' : '[';
    open.emplace_back(value);
  };
  begin(root);
  while (!open.empty()) {
    Frame& frame = open.back();
    if (frame.next == frame.items.size()) {
      out += frame.is_object ? '}' : ']';
      open.pop_back();
      continue;
    }
    if (frame.next > 0) out += ',';
    const auto item = frame.items[frame.next++];
    if (frame.is_object) {
      append_canonical_string(out, item.key());
      out += ':';
    }
    begin(*item);
  }
}

std::string canonical_json(const json& value) {
  std::string out;
  append_canonical(out, value);
  return out;
}

}  // namespace pmt::response_cache
