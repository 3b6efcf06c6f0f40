// Pairs of questions that must be told apart, and of wordings of one question, by kind: patterns of ours in
// evals/pairs, filled from its lists by a seed. "[kind]" begins a kind; a line is "first | second | ..." ("=" before
// it: one question in two wordings); {city1} and {city2} are two of the list "city". Thread-safety: pure functions.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace pmt::evals {

struct QuestionPair {
  std::string kind;
  bool same = false;
  std::vector<std::string> parts;  // two questions, and what else the pattern says
};

/// Lists that a program has of its own ("company": names that it invented), of which each is used once, beside those
/// of fillers.txt.
using Fillers = std::map<std::string, std::vector<std::string>>;

/// `each` of a pattern where its lists allow, no pair twice. Errors: a file that can't be read, a list that isn't
/// there.
base::Result<std::vector<QuestionPair>> question_pairs(const std::string& file, std::size_t each,
                                                       unsigned seed, Fillers own = {});

}  // namespace pmt::evals
