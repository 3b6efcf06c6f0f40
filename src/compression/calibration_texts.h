// The texts that a model is calibrated on (note 0034): it goes on from lead-ins of our own, several of these pieces
// are joined to a text where they are short, and names and numbers are planted in it.
// Pure functions. Thread-safety: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/vocab.h"

namespace pmt::compression {

using Tokens = std::vector<std::int32_t>;

/// The model's way of sampling begins anew after so many tokens, so that it can go on after a restart.
inline constexpr int kStretchTokens = 32;

/// How many tokens are written after each lead-in: the fewer, the more a token costs. A multiple of a stretch.
int piece_tokens_for(std::int64_t parameters);

/// One a piece. Of a chat model's some are in a user's turn.
std::vector<Tokens> lead_ins(const model::Vocab& vocab);

/// The pieces, joined to texts of some 1,000 tokens each, of several kinds where they are short, with facts planted.
std::vector<Tokens> texts_of(const std::vector<Tokens>& pieces, const model::Vocab& vocab);

}  // namespace pmt::compression
