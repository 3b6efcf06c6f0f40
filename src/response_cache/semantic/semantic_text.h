// What two questions say, compared by their words: a veto where an embedding is blind (MiniLM finds "in 1990"
// and "in 1991" .97 alike), and likeness figures for the learnt rule (semantic_rule.h).
//
// A veto says that the answers differ whatever the cosine says: other numbers, other names, negation on one
// side, opposite words, other units, another kind of question (who, when, where, why). It is written for
// English; in other languages numbers, capitalised names and code still veto, the word lists find nothing.
// Thread-safety: pure functions. Cost: a few microseconds for a question of 20 words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pmt::response_cache {

struct QuestionFacts {
  std::vector<std::string> words;    // in order, lower case, folded ("cats'" is "cat")
  std::vector<std::string> content;  // of those: what carries meaning, sorted, unique
  std::vector<std::string> numbers;  // "1,500" is "1500", "two" is "2"; sorted
  std::vector<std::string> names;    // capitalised inside a sentence, or spelt like code; sorted, unique
  std::vector<std::string> units;    // "kilometres" is "km"; sorted, unique
  bool negated = false;
};

QuestionFacts facts_of(std::string_view text);

enum class Veto { kNone, kNumber, kName, kNegation, kOpposite, kUnit };
inline constexpr int kVetoes = 6;
const char* to_string(Veto veto);

Veto veto(const QuestionFacts& a, const QuestionFacts& b);

/// All between 0 and 1.
struct Likeness {
  float shared = 0;       // of the content words, how many both have
  float substituted = 0;  // how much of both is one frame around exchanged words: "who owns A" and "... B"
  float contained = 0;    // of the shorter one's content words, how many the other has
  float named = 0;        // names and numbers that both have: 0, 1 (.5), 2 or more (1)
};

Likeness likeness(const QuestionFacts& a, const QuestionFacts& b);

}  // namespace pmt::response_cache
