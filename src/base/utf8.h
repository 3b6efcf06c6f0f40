// Texts as UTF-8: their characters (code points), and their beginning, which never ends inside of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pmt::base {

/// At most `bytes_max` bytes; what isn't UTF-8 is cut there.
inline std::string_view cut_utf8(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  for (int back = 0; back < 3 && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U; ++back)
    --end;
  return text.substr(0, end);
}

/// Code points of well-formed text.
inline std::int64_t characters(std::string_view utf8) {
  std::int64_t count = 0;
  for (const char c : utf8) count += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U ? 1 : 0;
  return count;
}

}  // namespace pmt::base
