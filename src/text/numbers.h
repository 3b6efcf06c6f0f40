// Numbers in a text, however they are written: "1,500", "1500" and "fifteen hundred" are one, so are "2nd" and
// "second", "$5" and "5 dollars". Thread-safety: pure functions. Cost: some looks into hash tables a word.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/words.h"

namespace pmt::text {

struct Number {
  std::string value;      // "1500", "1/2", "3.11", "q3"
  std::size_t words = 0;  // that it takes
  std::string unit;       // written into the same word: "km" of "5km"; "" if there is none
};

/// The number that begins with words[at]. Requires: words of WordRule::parts.
std::optional<Number> number_at(const std::vector<Word>& words, std::size_t at);

/// "kilometres", "km" -> "km"; "" if the word (in lower case) is no unit.
std::string_view unit_of(std::string_view word);

/// Of the sign that stands right before a number: "$" -> "usd"; "" if there is none.
std::string_view unit_before(std::string_view text, std::size_t begin);
/// Of the one right after: "%".
std::string_view unit_after(std::string_view text, std::size_t end);

}  // namespace pmt::text
