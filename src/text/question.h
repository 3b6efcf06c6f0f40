// A question as it is compared with another one (difference.h): its words, and what must be the same in both.
//
// Written for English; in other languages numbers, capitalised names, code, quotations and the order of exchanged
// words still count, the word lists find nothing. Thread-safety: pure functions. Cost: some 20 us for a question of
// 20 words. Memory: about 2 KB for one of 20 words.
#pragma once

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "text/opposites.h"
#include "text/roles.h"

namespace pmt::text {

struct Quote {
  std::string folded;     // its words, a space between two
  std::string words;      // the same as they stand in Question::words
  std::size_t count = 0;  // of them
  auto operator<=>(const Quote&) const = default;
};

/// Lists are sorted, and unique but for `words` and the numbers.
struct Question {
  std::vector<std::string> words;    // in order, in lower case, without a plural's s
  std::vector<std::string> content;  // of those: what carries meaning
  std::vector<std::string> numbers;  // "1,500" is "1500", "two" is "2"
  std::vector<std::string> lengths;  // of those: how long the answer is to be ("in 50 words")
  std::vector<std::string> names;    // capitalised inside a sentence, spelt like code, or a country
  std::vector<std::string>
      told_names;  // of those: what a preposition leads to, but for alternatives ("red or blue")
  std::vector<std::string> units;       // "kilometres" is "km"
  std::vector<std::string> quantities;  // "5 km", "march 5"
  std::vector<std::string> times;       // months, weekdays, "last year"
  std::vector<std::string> tasks;       // "translate", "write a poem"
  std::vector<Quote> quotes;            // what stands in quotation marks
  std::size_t words_before_colon = 0;   // of the first one: "Translate this: ..."
  bool negated = false;
  WordFlags flags;      // of `words`
  Opposites opposites;  // of `words`
  Roles roles;
};

Question question_of(std::string_view text);

}  // namespace pmt::text
