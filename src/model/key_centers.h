// What is taken from every key before it is kept. Some models (Qwen 2) add a bias to their keys that is many times as
// long as what a token says: 912 against some 20 in a table of the 1.5B. Coded in 4 bits, where an error is a share of
// the vector's length, nothing of the token would be left. Attention doesn't change when the same vector is taken from
// all keys of a table, so the part of the bias that RoPE hardly turns is: the mean over positions. Note 0053.
//
// Shapes: centers [layers * kv_heads, head_dim]. Thread-safety: pure functions. Cost: once a model, some ms.
#pragma once

#include <span>
#include <vector>

#include "kv_cache/key_turn.h"
#include "model/rope.h"

namespace pmt::model {

/// The mean of `bias` over the positions that most contexts have, turned as keys are. Dimensions that RoPE doesn't turn
/// keep their bias whole.
std::vector<float> key_center(std::span<const float> bias, const RopeTable& rope);

/// What centered keys need beside being turned: each table's center turned, less the center. Empty of none.
std::vector<float> centers_turned(std::span<const float> centers, int head_dim,
                                  const kv_cache::KeyTurn& turn);

}  // namespace pmt::model
