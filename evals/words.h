// How an evaluation compares what was said with what was wanted.
#pragma once

#include <cctype>
#include <string>

namespace pmt::bench {

/// Lower-case words with one space between and around them: " a b ". Bytes beyond ASCII stay. "" gives " ".
inline std::string words_of(const std::string& text) {
  std::string out = " ";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || byte >= 0x80) {
      out += static_cast<char>(std::tolower(byte));
    } else if (out.back() != ' ') {
      out += ' ';
    }
  }
  return out.back() == ' ' ? out : out + ' ';
}

}  // namespace pmt::bench
