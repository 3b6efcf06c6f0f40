// Log-probabilities of tokens under the model itself: before temperature, penalties, biases and truncation,
// as OpenAI reports them.
// Thread-safety: pure.
// Cost: two passes over the logits; with `top_n` a third, with a heap of so many.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace pmt::model {

struct Logprobs {
  float logprob = 0;                                // of the token asked for
  std::vector<std::pair<std::int32_t, float>> top;  // best first, of equal ones the lower id first
};

/// `logits`: [vocab_size]. Requires 0 <= token < vocab_size; at most vocab_size tops are given.
Logprobs logprobs(std::span<const float> logits, std::int32_t token, int top_n);

}  // namespace pmt::model
