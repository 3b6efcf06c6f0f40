// Words as the knowledge cache compares them: folded to lower case without accents, possessives cut off, with
// what the gate must know of each (where it stands, whether it is written like a name).
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

namespace pmt::knowledge_cache {

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

std::vector<Word> words_of(std::string_view text);

/// Words joined by one space: equal texts up to case, accents, punctuation and possessives give equal
/// strings.
std::string folded_text(std::string_view text);

/// "the", "of", "how", "is", ...: never part of what tells two names apart.
bool is_function_word(std::string_view folded);
/// Articles and the like that may stand before a name: "the", "our", "this", ...
bool is_article(std::string_view folded);
/// Small words that names have inside: "of", "de", "van", "and", ...
bool is_name_connector(std::string_view folded);
/// "mr", "dr", ...: may come before a person's name.
bool is_title(std::string_view folded);

/// At most one letter was inserted, left out, changed, or swapped with its neighbour. Words with digits must
/// be equal: item 1234 is not item 1235.
bool one_letter_apart(std::string_view a, std::string_view b);

/// Half-open byte ranges of the sentences: ended by . ! ? followed by a space or the end, by a line break.
struct Range {
  std::size_t begin = 0, end = 0;
};
std::vector<Range> sentences_of(std::string_view text);

}  // namespace pmt::knowledge_cache
