// The fast way to cut a text into words: letters and digits in lower case, everything else between them. For
// whole documents, and where only the words count; what a word looks like and where it stands is words.h.
// Bytes of UTF-8 characters beyond ASCII are letters and stay as they are. Thread-safety: pure functions.
// Cost: one pass.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pmt::text {

/// A word's byte in lower case; 0: no word's byte.
inline constexpr std::array<unsigned char, 256> kPlainByte = [] {
  std::array<unsigned char, 256> bytes = {};
  for (std::size_t c = 0; c < bytes.size(); ++c) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80)
      bytes[c] = static_cast<unsigned char>(upper ? c + 32 : c);
  }
  return bytes;
}();

/// Letters A to Z in lower case, other bytes as they are.
std::string lower(std::string_view text);

/// "cats" is a plural, "glass" is none: longer than three, an s at the end and no other before it.
constexpr bool is_plural(std::string_view word) {
  return word.size() > 3 && word.back() == 's' && word[word.size() - 2] != 's';
}
/// Without a plural's s: "cities" is "citie", which is enough to compare by.
std::string singular(std::string word);

/// The words of `text` in order.
struct PlainWords {
  std::string_view inside = {};  // further bytes that a word may have after its first: "+" for "c++"
  bool singular = false;         // cut by singular()
};
std::vector<std::string> plain_words(std::string_view text, const PlainWords& how = {});

/// The same with one space between and around them: " a b ". No word: " ".
std::string plain_text(std::string_view text);

}  // namespace pmt::text
