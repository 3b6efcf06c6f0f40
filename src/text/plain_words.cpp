#include "text/plain_words.h"

#include <utility>

namespace pmt::text {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string singular(std::string word) {
  if (is_plural(word)) word.pop_back();
  return word;
}

std::vector<std::string> plain_words(std::string_view text, const PlainWords& how) {
  std::vector<std::string> words;
  std::string word;
  const auto end = [&] {
    if (word.empty()) return;
    words.push_back(how.singular ? singular(std::move(word)) : std::move(word));
    word.clear();
  };
  for (const char c : text) {
    const unsigned char folded = kPlainByte[static_cast<unsigned char>(c)];
    if (folded != 0) {
      word += static_cast<char>(folded);
    } else if (!word.empty() && how.inside.find(c) != std::string_view::npos) {
      word += c;
    } else {
      end();
    }
  }
  end();
  return words;
}

std::string plain_text(std::string_view text) {
  std::string out = " ";
  for (const std::string& word : plain_words(text)) out += word + ' ';
  return out;
}

}  // namespace pmt::text
