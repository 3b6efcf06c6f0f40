// Who acts on whom in a sentence, as far as its words tell: from auxiliaries ("did Rome attack"), asking words ("who
// lent", "whom did Ann lend to"), passives with "by", and verbs in the past. Where it can't be told which word is the
// verb, each that may be one is claimed to be: only claims of two questions that contradict each other say anything.
// Thread-safety: pure functions. Cost: some microseconds for a sentence of 20 words.
#pragma once

#include <compare>
#include <span>
#include <vector>

#include "text/term.h"

namespace pmt::text {

/// `other` is what acts in `verb`, or what it is done to.
struct Claim {
  StemHash verb = 0, other = 0;
  bool acts = false;
  auto operator<=>(const Claim&) const = default;
};

/// Requires: the stem of each term is known.
std::vector<Claim> claims_of(std::span<const Term> sentence);

}  // namespace pmt::text
