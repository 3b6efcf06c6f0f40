#include "text/asked_part.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <string>
#include <vector>

#include "text/english.h"
#include "text/words.h"

namespace pmt::text {
namespace {

constexpr std::size_t kWholeWords = 40;      // a turn of so few is asked as a whole
constexpr std::size_t kWordsAfter = 25;      // that may follow what is asked: "Thank you very much."
constexpr std::size_t kParagraphWords = 60;  // a paragraph of so few goes with its question
constexpr std::size_t kAskedWords = 150;     // of more it can't be told what asks and what is asked about
constexpr std::size_t kWordBytes = 12;       // a script without spaces has a word in so many
constexpr std::size_t kLineBytesMin = 200;   // shorter lines are wrapped prose
constexpr std::size_t kLabelWords = 3;       // before a label's colon, which comes early
constexpr std::size_t kLabelBytes = 60;

constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kClosing = " \t\r\n\"')]*_";

std::string_view part(std::string_view text, Range range) {
  return text.substr(range.begin, range.end - range.begin);
}

Range trimmed(std::string_view text, Range range) {
  const std::string_view inside = part(text, range);
  const auto first = inside.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {range.begin, range.begin};
  return {range.begin + first, range.begin + inside.find_last_not_of(kSpace) + 1};
}

/// Stops counting at `most`.
std::size_t words_in(std::string_view text, std::size_t most) {
  std::size_t count = 0;
  if (text.size() / kWordBytes > most) return text.size() / kWordBytes;
  bool inside = false;
  for (const char c : text) {
    const bool space = std::isspace(static_cast<unsigned char>(c)) != 0;
    count += inside || space ? 0 : 1;
    inside = !space;
    if (count > most) break;
  }
  return count;
}

enum class Sign { kNone, kInstruction, kQuestion };

bool is_instructing(const std::string& word) {
  static const WordSet kVerbs = [] {
    WordSet all = english_words("base_verbs");
    all.merge(english_words("instructing_verbs"));
    return all;
  }();
  return kVerbs.contains(word);
}

bool is_lead_in(const std::string& word) {
  static const WordSet kLeadIns = english_words("lead_ins");
  static const WordSet kOthers = {"now",  "then",        "finally",      "first", "just",
                                  "task", "instruction", "instructions", "prompt"};
  return kLeadIns.contains(word) || kOthers.contains(word);
}

/// "Question: ...", "Your task: ...".
bool has_label(std::string_view sentence) {
  const auto colon = sentence.find(':');
  if (colon == std::string_view::npos || colon > kLabelBytes || colon + 1 == sentence.size()) return false;
  const std::vector<Word> words = words_of(sentence.substr(0, colon));
  return !words.empty() && words.size() <= kLabelWords &&
         std::ranges::any_of(words, [](const Word& word) { return is_lead_in(word.folded); });
}

Sign sign_of(std::string_view sentence) {
  const auto last = sentence.find_last_not_of(kClosing);
  if (last == std::string_view::npos) return Sign::kNone;
  if (sentence[last] == '?' || has_label(sentence)) return Sign::kQuestion;
  constexpr std::size_t kBytesLooked = 80;
  for (const Word& word : words_of(sentence.substr(0, kBytesLooked))) {
    if (is_instructing(word.folded)) return Sign::kInstruction;
    if (!is_lead_in(word.folded)) return Sign::kNone;
  }
  return Sign::kNone;
}

/// The sentence without the lines before its last one, where that begins anew: "a; b\nWhat is b?" in a table.
Range last_line(std::string_view text, Range sentence) {
  const auto line = part(text, sentence).rfind('\n');
  if (line == std::string_view::npos) return sentence;
  const Range rest = trimmed(text, {sentence.begin + line, sentence.end});
  constexpr std::size_t kLineWords = 3;
  const bool begins =
      rest.end > rest.begin && std::isupper(static_cast<unsigned char>(text[rest.begin])) != 0;
  return begins && words_in(part(text, rest), kLineWords) >= kLineWords ? rest : sentence;
}

/// Between blank lines.
Range paragraph_around(std::string_view text, std::size_t at) {
  const auto before = text.rfind("\n\n", at);
  const auto after = text.find("\n\n", at);
  return trimmed(text, {before == std::string_view::npos || at == 0 ? 0 : before,
                        after == std::string_view::npos ? text.size() : after});
}

bool is_short_paragraph(std::string_view text, Range paragraph) {
  return part(text, paragraph).size() < text.size() &&
         words_in(part(text, paragraph), kParagraphWords) <= kParagraphWords;
}

struct Found {
  Range range;
  bool certain = false;
};

/// `text` begins and ends at no space.
std::optional<Found> at_end(std::string_view text, const std::vector<Range>& sentences) {
  for (std::size_t i = sentences.size(); i-- > 0;) {
    if (words_in(text.substr(sentences[i].end), kWordsAfter) > kWordsAfter) break;
    const Range line = last_line(text, sentences[i]);
    const Sign sign = sign_of(part(text, line));
    if (sign == Sign::kNone) continue;
    std::size_t begin = line.begin;
    bool asks = sign == Sign::kQuestion;
    while (begin == sentences[i].begin && i > 0) {
      const Range before = last_line(text, sentences[i - 1]);
      const Sign sign_before = sign_of(part(text, before));
      if (sign_before == Sign::kNone ||
          paragraph_around(text, before.begin).begin != paragraph_around(text, begin).begin)
        break;
      asks = asks || sign_before == Sign::kQuestion;
      begin = before.begin;
      --i;
      if (begin != sentences[i].begin) break;
    }
    const Range paragraph = paragraph_around(text, begin);
    const bool own = is_short_paragraph(text, paragraph);
    return Found{{own ? paragraph.begin : begin, text.size()}, asks || own};
  }
  return std::nullopt;
}

std::optional<Found> at_beginning(std::string_view text, const std::vector<Range>& sentences) {
  if (sentences.empty()) return std::nullopt;
  const Sign sign = sign_of(part(text, trimmed(text, sentences[0])));
  const std::string_view line = text.substr(0, text.find('\n'));
  const bool announces =
      line.size() < text.size() && line.find_last_not_of(kSpace) != std::string_view::npos &&
      line[line.find_last_not_of(kSpace)] == ':' && words_in(line, kWholeWords) <= kWholeWords;
  if (announces) return Found{trimmed(text, {0, line.size()}), true};
  if (sign == Sign::kNone) return std::nullopt;
  bool asks = sign == Sign::kQuestion;
  std::size_t end = sentences[0].end;
  for (std::size_t i = 1; i < sentences.size(); ++i) {
    const Sign next = sign_of(part(text, trimmed(text, sentences[i])));
    if (next == Sign::kNone || words_in(text.substr(0, sentences[i].end), kParagraphWords) > kParagraphWords)
      break;
    asks = asks || next == Sign::kQuestion;
    end = sentences[i].end;
  }
  const Range paragraph = paragraph_around(text, 0);
  const bool own = is_short_paragraph(text, paragraph);
  return Found{trimmed(text, {0, own ? std::max(paragraph.end, end) : end}), asks || own};
}

}  // namespace

std::optional<Range> asked_part(std::string_view turn) {
  const Range all = trimmed(turn, {0, turn.size()});
  if (all.begin == all.end) return std::nullopt;
  const std::string_view text = part(turn, all);
  if (words_in(text, kWholeWords) <= kWholeWords) return all;
  const std::vector<Range> sentences = sentences_of(text, {.line_bytes_min = kLineBytesMin});
  const auto end = at_end(text, sentences);
  const auto beginning = at_beginning(text, sentences);
  const auto& found = (end && end->certain) || !beginning || (end && !beginning->certain) ? end : beginning;
  if (!found || words_in(part(text, found->range), kAskedWords) > kAskedWords) return std::nullopt;
  return Range{all.begin + found->range.begin, all.begin + found->range.end};
}

}  // namespace pmt::text
