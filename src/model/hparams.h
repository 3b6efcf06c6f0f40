// A model's shape, read from its GGUF and checked against what our graphs can run.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "kv_cache/sequence_kv.h"
#include "model/architecture.h"
#include "model/gguf_file.h"

namespace pmt::model {

struct Hparams {
  Architecture architecture;
  int layers = 0;
  int hidden = 0;
  int feed_forward = 0;  // of one expert, where there are some
  int experts = 0;       // 0: one feed-forward for all tokens
  int experts_used = 0;
  float expert_scale = 1;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int vocabulary = 0;
  int context_tokens = 0;
  float rms_epsilon = 0;
  float rope_base = 0;
  int rope_dims = 0;
  /// Local layers see so many tokens, themselves included; 0: there are none.
  int window = 0;
  float local_rope_base = 0;
  std::bitset<kv_cache::kLayersMax> local;
  float attention_scale = 0;

  int group() const { return heads / kv_heads; }
  kv_cache::KvShape kv_shape() const { return {layers, kv_heads, head_dim, window, local}; }
};

/// Errors: kCorrupt (a missing or contradictory key), kInvalidArgument (an architecture or feature that isn't
/// supported; the message names those that are).
base::Result<Hparams> read_hparams(const GgufFile& file);

}  // namespace pmt::model
