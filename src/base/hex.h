// Bytes as pairs of hex digits, and back. Thread-safety: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pmt::base {

/// 0 to 15 for a digit of either case, else -1.
constexpr int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// In lower case.
std::string to_hex(std::string_view bytes);
/// Null unless `hex` is pairs of digits, of either case.
std::optional<std::string> from_hex(std::string_view hex);

}  // namespace pmt::base
