#include "text/words.h"

#include <algorithm>
#include <cctype>
#include <cstdint>

namespace pmt::text {
namespace {

/// Base letters of U+00C0..U+017F; '*' where there is none.
constexpr std::string_view kBase =
    "AAAAAAACEEEEIIIIDNOOOOO*OUUUUYTsaaaaaaaceeeeiiiidnooooo*ouuuuyty"
    "AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIiIiJjKkkLlLlLlLlLlNnNnNnnNnOoOoOoOoRrRrRrSsSsSs"
    "SsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs";

struct Char {
  std::size_t bytes = 1;
  char folded = 0;  // 0: keep the bytes
  bool letter = false, capital = false, digit = false;
};

Char char_at(std::string_view text, std::size_t at) {
  const auto c = static_cast<unsigned char>(text[at]);
  Char out;
  if (c < 0x80) {
    out.letter = std::isalnum(c) != 0;
    out.digit = std::isdigit(c) != 0;
    out.capital = std::isupper(c) != 0;
    out.folded = static_cast<char>(std::tolower(c));
    return out;
  }
  out.bytes = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
  out.bytes = std::min(out.bytes, text.size() - at);
  if (out.bytes == 2) {
    const auto code =
        static_cast<std::uint32_t>((c & 0x1FU) << 6U) | (static_cast<unsigned char>(text[at + 1]) & 0x3FU);
    if (code < 0xC0) return out;  // signs
    out.letter = true;
    if (code <= 0x17F && code - 0xC0 < kBase.size() && kBase[code - 0xC0] != '*') {
      const auto base = static_cast<unsigned char>(kBase[code - 0xC0]);
      out.capital = std::isupper(base) != 0;
      out.folded = static_cast<char>(std::tolower(base));
    }
    return out;
  }
  // General punctuation (dashes, quotes, the ellipsis) is no part of a word; all else beyond Latin is.
  out.letter = !(out.bytes == 3 && c == 0xE2 && (static_cast<unsigned char>(text[at + 1]) & 0xFCU) == 0x80);
  return out;
}

/// The same for a text whose words may be code: an underscore is a letter.
Char char_at(std::string_view text, std::size_t at, const WordRule& rule) {
  Char out = char_at(text, at);
  if (rule.parts && text[at] == '_') out.letter = true;
  return out;
}

/// Bytes of an apostrophe at `at`, 0 if there is none.
std::size_t apostrophe(std::string_view text, std::size_t at) {
  if (at < text.size() && text[at] == '\'') return 1;
  return text.substr(at, 3) == "\xE2\x80\x99" ? 3 : 0;
}

bool is_digit_at(std::string_view text, std::size_t at) {
  return at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0;
}

/// "1,500": a comma before three digits and no fourth.
bool is_thousands(std::string_view text, std::size_t at) {
  return text[at] == ',' && is_digit_at(text, at + 1) && is_digit_at(text, at + 2) &&
         is_digit_at(text, at + 3) && !is_digit_at(text, at + 4);
}

/// A sign that joins two parts of one word, with a letter on each side: "Yun-Hwa", "3.14", "O'Neill".
std::size_t joint(std::string_view text, std::size_t at, const WordRule& rule) {
  if (at >= text.size()) return 0;
  std::size_t bytes = apostrophe(text, at);
  const bool digit_before = at > 0 && is_digit_at(text, at - 1);
  if (bytes == 0 && text[at] == '-' && !rule.parts) bytes = 1;
  if (bytes == 0 && rule.parts && digit_before && is_thousands(text, at)) bytes = 1;
  if (bytes == 0 && (text[at] == '.' || text[at] == ':' || text[at] == '/') && digit_before) bytes = 1;
  if (bytes == 0 || at + bytes >= text.size()) return 0;
  return char_at(text, at + bytes).letter ? bytes : 0;
}

bool ends_sentence(char c) {
  return c == '.' || c == '!' || c == '?' || c == '\n';
}

/// Reads the word that begins at `at`.
Word read_word(std::string_view text, std::size_t at, const WordRule& rule) {
  Word word;
  word.begin = at;
  bool begins = true;
  while (at < text.size()) {
    const Char c = char_at(text, at, rule);
    if (!c.letter) {
      const std::size_t bytes = begins ? 0 : joint(text, at, rule);
      if (bytes == 0) break;
      const std::size_t sign = apostrophe(text, at);
      if (sign > 0 && (text[at + sign] == 's' || text[at + sign] == 'S') &&
          (at + sign + 1 >= text.size() || !char_at(text, at + sign + 1).letter)) {
        word.possessive = true;
        break;
      }
      if (sign == 0) word.folded += text[at];
      at += bytes;
      continue;
    }
    if (begins) word.capital = c.capital;
    begins = false;
    word.digits = word.digits || c.digit;
    if (c.folded != 0) {
      word.folded += c.folded;
    } else {
      word.folded += text.substr(at, c.bytes);
    }
    at += c.bytes;
  }
  word.end = at;
  word.capital = word.capital || word.digits;
  return word;
}

}  // namespace

std::vector<Word> words_of(std::string_view text, const WordRule& rule) {
  std::vector<Word> words;
  bool first = true;
  for (std::size_t at = 0; at < text.size();) {
    const Char c = char_at(text, at, rule);
    if (c.letter) {
      Word word = read_word(text, at, rule);
      word.first = first;
      first = false;
      at = word.end;
      if (word.possessive) at += apostrophe(text, at) + 1;
      if (!word.possessive && apostrophe(text, at) > 0 && !word.folded.empty() && word.folded.back() == 's') {
        word.possessive = true;
        at += apostrophe(text, at);
      }
      words.push_back(std::move(word));
      continue;
    }
    const bool space = text[at] == ' ' || text[at] == '\t' || text[at] == '\r';
    if (!space && !words.empty()) words.back().ends_run = true;
    if (ends_sentence(text[at]) || text[at] == ':' || text[at] == '"') first = true;
    at += c.bytes;
  }
  if (!words.empty()) words.back().ends_run = true;
  return words;
}

std::string folded_text(std::string_view text) {
  std::string out;
  for (const Word& word : words_of(text)) {
    if (!out.empty()) out += ' ';
    out += word.folded;
    if (word.possessive) out += "'s";
  }
  return out;
}

bool one_letter_apart(std::string_view a, std::string_view b) {
  if (a == b) return true;
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > 1) return false;
  const auto has_digit = [](std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  };
  if (has_digit(a) || has_digit(b)) return false;
  std::size_t begin = 0;
  while (begin < a.size() && a[begin] == b[begin]) ++begin;
  std::size_t tail = 0;
  while (tail < a.size() - begin && a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) ++tail;
  const std::size_t left = a.size() - begin - tail, right = b.size() - begin - tail;
  if (left <= 1 && right <= 1) return true;
  return left == 2 && right == 2 && a[begin] == b[begin + 1] && a[begin + 1] == b[begin];
}

}  // namespace pmt::text
