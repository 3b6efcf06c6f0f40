// Real data for `eval forgetting` (--data DIR; none of it is part of the project): facts to teach, answers
// that must stay, and running text. What can't be read is told on stderr and left out.
#pragma once

#include <string>
#include <vector>

#include "lab/subject.h"

namespace pmt::evals {

struct RealFact {
  std::string prompt, answer;
  bool is_tofu = false;
};

/// Questions of EntityQuestions (princeton-nlp/EntityQuestions) over its relations by turns, and of TOFU's
/// authors (locuslab/tofu) that name their author, to which the bare model doesn't give the answer.
std::vector<RealFact> facts_it_gets_wrong(lab::Subject& subject, const std::string& data, std::size_t each,
                                          std::size_t first);

/// Of the known facts (kmeng01/rome) that it completes right without knowledge: those that it completes
/// otherwise with all domains on.
lab::Share changed_answers(lab::Subject& subject, const std::string& data, std::size_t n);

/// WikiText-2's validation text, read by our engine. The gate sees the text up to each word as a prompt;
/// where it fires, the next token is the fact's, and any other one counts as having probability 1e-6.
struct TextReading {
  double perplexity = 0, perplexity_with = 0;
  std::size_t tokens = 0, places = 0, opened = 0, fired = 0;
};
TextReading read_text(lab::Subject& subject, const std::string& data, std::size_t tokens_max);

}  // namespace pmt::evals
