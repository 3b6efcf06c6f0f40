// Words of which at most one is meant: enable and disable, before and after, possible and impossible
// (data/en/opposites.txt, data/en/opposite_prefixes.txt). What a text has is read once and compared with many.
// Thread-safety: plain data, pure functions. Cost: two stems and some looks into hash tables a word to read; one walk
// over both lists to compare.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "text/term.h"

namespace pmt::text {

/// Lists are sorted, and unique.
struct Opposites {
  /// A word of a group of opposites; words that mean the same are one member.
  struct Member {
    int group = 0, member = 0;
    auto operator<=>(const Member&) const = default;
  };
  /// A word without a prefix or an ending that turns it round.
  struct Part {
    StemHash stem = 0;  // of what is left
    StemHash word = 0;  // all of it
    std::uint16_t affix = 0;
    auto operator<=>(const Part&) const = default;
  };
  std::vector<Member> members;
  std::vector<Part> parts;      // none of more than 64 words
  std::vector<StemHash> words;  // hash_of each; likewise
};

/// Words in lower case, without a plural's s; their forms count (closing, closed).
Opposites opposites_of(const std::vector<std::string>& words);

/// Each has a word that is the opposite of one of the other's, which that one doesn't have itself.
bool opposed(const Opposites& a, const Opposites& b);

}  // namespace pmt::text
