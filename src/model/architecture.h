// The architectures that run, each described by how its blocks differ from llama's: a residual stream of
// attention and gated feed-forward blocks under RMS norms, with rotary positions and grouped KV heads.
// Thread-safety: constants.
#pragma once

#include <string>
#include <string_view>

namespace pmt::model {

/// How RoPE pairs dimensions: (2i, 2i+1) or (i, i + n/2).
enum class RopePairs { kAdjacent, kHalves };

/// What the feed-forward's gate goes through.
enum class Activation { kSilu, kGelu };

struct Architecture {
  std::string_view name;  // as in general.architecture
  RopePairs rope_pairs = RopePairs::kAdjacent;
  Activation activation = Activation::kSilu;
  bool qkv_bias = false;          // added to queries, keys and values
  bool qk_norm = false;           // every query's and key's RMS norm, before RoPE
  bool post_norms = false;        // a norm on what each block gives, before the residual
  bool scaled_embedding = false;  // times the root of its length
  bool experts = false;           // in every feed-forward (experts.h)
  /// Where the file names a window: all layers but each `local_pattern`-th see only that many tokens, and
  /// turn by a rotary base of their own. 0: never.
  int local_pattern = 0;
  float local_rope_base = 0;  // where the file names none
};

/// Null when it isn't one of ours.
const Architecture* find_architecture(std::string_view name);

/// Their names, with commas.
std::string architecture_names();

}  // namespace pmt::model
