#include "rlm/quotes.h"

#include <cstddef>
#include <string>
#include <vector>

#include "text/plain_words.h"

namespace pmt::rlm {
namespace {

/// Bytes of a sign in UTF-8 at `at` that is written in several ways: curly quotation marks, dashes, "…", a
/// no-break space. 0: it is none.
std::size_t sign_at(std::string_view text, std::size_t at) {
  for (const std::string_view sign :
       {"\u2018", "\u2019", "\u201c", "\u201d", "\u2013", "\u2014", "\u2026", "\u00a0"}) {
    if (text.substr(at, sign.size()) == sign) return sign.size();
  }
  return 0;
}

/// A text's words with one space around each, and where each byte of them stands.
struct Plain {
  std::string text = " ";
  std::vector<std::size_t> at = {0};
};

Plain plain_of(std::string_view text) {
  Plain plain;
  const auto add = [&plain](char byte, std::size_t at) {
    plain.text += byte;
    plain.at.push_back(at);
  };
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t sign = sign_at(text, i);
    const unsigned char folded = sign > 0 ? 0 : text::kPlainByte[static_cast<unsigned char>(text[i])];
    if (folded != 0) {
      add(static_cast<char>(folded), i);
    } else if (plain.text.back() != ' ') {
      add(' ', i);
    }
    i += sign > 0 ? sign : 1;
  }
  if (plain.text.back() != ' ') add(' ', text.size());
  return plain;
}

}  // namespace

std::optional<Span> find_quote(std::string_view text, std::string_view quote) {
  const Plain words = plain_of(quote), all = plain_of(text);
  if (words.text.size() < 3) return std::nullopt;
  const std::size_t found = all.text.find(words.text);
  if (found == std::string::npos) return std::nullopt;
  Span span{.begin = all.at[found + 1], .end = all.at[found + words.text.size() - 2] + 1};
  if (span.end < text.size() && std::string_view(".!?").find(text[span.end]) != std::string_view::npos)
    ++span.end;
  return span;
}

}  // namespace pmt::rlm
