// The places that a question gives to its things: what stands after which preposition (data/en/slots.txt), and what
// belongs to what. Thread-safety: pure functions. Cost: a few looks into hash tables a word.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "text/term.h"

namespace pmt::text {

struct Filled {
  std::uint16_t slot = 0;
  StemHash filler = 0;
  auto operator<=>(const Filled&) const = default;
};

/// "The owner of the dog", "the dog's owner": the dog owns an owner.
struct Owned {
  StemHash thing = 0, owner = 0;
  auto operator<=>(const Owned&) const = default;
};

/// Filler of the slot that "who" or "what" stands for: "to whom", "bigger than what".
inline constexpr StemHash kAskedFor = 1;

/// In the text's order, with repetitions. Requires: the stem of each term is known.
struct Places {
  std::vector<Filled> slots;
  std::vector<Owned> owned;
};
Places places_of(const std::vector<Term>& terms);

}  // namespace pmt::text
