// What a word's forms have in common, to compare words by. Not words of a language: "carr" stands for carry,
// carries and carried. Thread-safety: pure functions. Cost: a look into a hash table and some cuts.
#pragma once

#include <string>
#include <string_view>

namespace pmt::text {

/// Of a word in lower case: "lent" and "lending" give what "lend" gives.
std::string stem_of(std::string_view word);

/// Near enough to be one word: equal but for an ending, or one grown out of the other (utilise, utilisation).
bool alike(std::string_view a, std::string_view b);

/// "attacked", "written", "beaten": may stand in a passive.
bool may_be_participle(std::string_view word);

}  // namespace pmt::text
