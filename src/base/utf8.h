// The beginning of a text, never ending inside a character of UTF-8.
#pragma once

#include <cstddef>
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

}  // namespace pmt::base
