// A model's shape, read from its GGUF and checked against what our graphs can run.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "kv_cache/sequence_kv.h"
#include "model/gguf_file.h"

namespace pmt::model {

/// How RoPE pairs dimensions: (2i, 2i+1) or (i, i + n/2).
enum class RopePairs { kAdjacent, kHalves };

struct Hparams {
  std::string architecture;
  int layers = 0;
  int hidden = 0;
  int feed_forward = 0;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int vocabulary = 0;
  int context_tokens = 0;
  float rms_epsilon = 0;
  float rope_base = 0;
  int rope_dims = 0;
  RopePairs rope_pairs = RopePairs::kAdjacent;
  bool qkv_bias = false;  // qwen2: added to queries, keys and values
  bool qk_norm = false;   // qwen3: every query's and key's RMS norm, before RoPE

  int group() const { return heads / kv_heads; }
  kv_cache::KvShape kv_shape() const { return {layers, kv_heads, head_dim}; }
};

/// Errors: kCorrupt (a missing or contradictory key), kInvalidArgument (an architecture or feature that isn't
/// supported; the message names those that are).
base::Result<Hparams> read_hparams(const GgufFile& file);

}  // namespace pmt::model
