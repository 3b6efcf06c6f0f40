#include "base/base64.h"

#include <cstdint>
#include <utility>

namespace pmt::base {
namespace {

constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::optional<std::string> from_base64(std::string_view text) {
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  unsigned held = 0;  // of `bits`, not written yet
  std::size_t letters = 0, padding = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r') continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    const std::size_t value = kLetters.find(c);
    if (value == std::string_view::npos || padding > 0) return std::nullopt;
    ++letters;
    bits = bits << 6U | static_cast<std::uint32_t>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out += static_cast<char>(bits >> held & 0xFFU);
    bits &= (1U << held) - 1U;
  }
  const bool whole = letters % 4 != 1 && (padding == 0 || (padding < 3 && (letters + padding) % 4 == 0));
  return whole && bits == 0 ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace pmt::base
