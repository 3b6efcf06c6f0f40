// Words of which at most one is meant: enable and disable, before and after, possible and impossible
// (data/en/opposites.txt, data/en/opposite_prefixes.txt). Thread-safety: pure functions. Cost: a look into a hash
// table for each word, and a comparison of each pair of words that only one side has.
#pragma once

#include <string>
#include <vector>

namespace pmt::text {

/// Each has a word that is the opposite of one of the other's, which that one doesn't have itself. Words in lower
/// case, without a plural's s; their forms count (closing, closed).
bool opposed(const std::vector<std::string>& a, const std::vector<std::string>& b);

}  // namespace pmt::text
