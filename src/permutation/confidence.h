// How sure a model was of its answer: the geometric mean of its tokens' probabilities, and how far two
// answers agree. Thread-safety: none.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "llm/event.h"

namespace pmt::permutation {

class Confidence {
 public:
  void add(const std::vector<llm::TokenLogprob>& tokens) {
    for (const llm::TokenLogprob& token : tokens) {
      if (!token.logprob) continue;
      sum_ += std::isfinite(*token.logprob) ? *token.logprob : kImpossible;
      ++tokens_;
    }
  }
  int tokens() const { return tokens_; }
  /// exp of the mean log-probability, 0..1; 1 before the first token.
  double value() const { return tokens_ == 0 ? 1 : std::exp(sum_ / tokens_); }

 private:
  static constexpr double kImpossible = -30;
  double sum_ = 0;
  int tokens_ = 0;
};

/// Takes them out of what the caller gets, who didn't ask for them: they were asked for to judge the model by.
void drop_logprobs(llm::Delta& delta);

/// Overlap of two answers' words: their F1, 0..1, without articles. Symmetric.
double agreement(const std::string& a, const std::string& b);

}  // namespace pmt::permutation
