// Words as questions and names are compared by: folded to lower case without accents, possessives cut off,
// with what must be known of each (where it stands, whether it is written like a name). For whole documents
// there is plain_words.h.
//
// Shapes: a Word covers the half-open byte range [begin, end) of its text. Latin letters with accents
// (U+00C0..U+017F) fold to their base letter; other scripts are compared byte by byte, and a script without
// spaces is one long word (its facts are found by full match only). Thread-safety: pure functions. Cost: one
// pass over the text, 30 ns a byte.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pmt::text {

struct Word {
  std::string folded;     // without "'s"
  std::size_t begin = 0;  // in the text; the possessive ending is outside
  std::size_t end = 0;
  bool possessive = false;
  bool capital = false;   // begins with a capital letter, or holds a digit
  bool first = false;     // of its sentence
  bool ends_run = false;  // punctuation or the text's end follows: what comes next is another phrase
  bool digits = false;    // holds a digit
};

/// What a word is made of.
struct WordRule {
  /// For the parts of a question: "two-factor" is two words, "snake_case" and "1,500" are one each. Otherwise,
  /// for names, "Yun-Hwa" is one, and "snake_case" two.
  bool parts = false;
};
std::vector<Word> words_of(std::string_view text, const WordRule& rule = {});

/// Words joined by one space: equal texts up to case, accents, punctuation and possessives give equal
/// strings.
std::string folded_text(std::string_view text);

/// At most one letter was inserted, left out, changed, or swapped with its neighbour. Words with digits must
/// be equal: item 1234 is not item 1235.
bool one_letter_apart(std::string_view a, std::string_view b);

}  // namespace pmt::text
