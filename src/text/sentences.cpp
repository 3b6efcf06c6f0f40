#include "text/sentences.h"

#include <cctype>

#include "text/plain_words.h"
#include "text/stop_words.h"

namespace pmt::text {
namespace {

/// The full stop at `at` belongs to a word: "Mr. Brandt", "J. Doe".
bool is_abbreviation(std::string_view text, std::size_t begin, std::size_t at) {
  std::size_t from = at;
  while (from > begin && std::isalpha(static_cast<unsigned char>(text[from - 1])) != 0) --from;
  const std::string word = lower(text.substr(from, at - from));
  return word.size() == 1 || is_title(word);
}

/// A sentence that began at `begin` ends with the byte at `at`.
bool ends_here(std::string_view text, std::size_t begin, std::size_t at, const SentenceRule& rule) {
  const bool more = at + 1 < text.size();
  if (text[at] == '\n') {
    return rule.line_bytes_min == 0 || (more && text[at + 1] == '\n') || at - begin > rule.line_bytes_min;
  }
  if (text[at] != '.' && text[at] != '!' && text[at] != '?') return false;
  if (more && text[at + 1] != ' ' && text[at + 1] != '\n' && text[at + 1] != '"') return false;
  if (rule.bytes_min > 0) return at - begin > rule.bytes_min;
  return text[at] != '.' || !more || !is_abbreviation(text, begin, at);
}

}  // namespace

std::vector<Range> sentences_of(std::string_view text, const SentenceRule& rule) {
  std::vector<Range> out;
  std::size_t begin = 0;
  const auto close = [&](std::size_t end) {
    const auto first = text.find_first_not_of(" \t\r\n", begin);
    if (first != std::string_view::npos && first < end) out.push_back({first, end});
    begin = end;
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (ends_here(text, begin, at, rule)) close(at + 1);
  }
  close(text.size());
  return out;
}

}  // namespace pmt::text
