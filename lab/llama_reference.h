// llama.cpp itself, from the same pinned source and in the same process: the peer of the speed benchmarks and
// the oracle of the logits evaluation. One sequence, or copies of one. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

struct llama_model;
struct llama_context;

namespace pmt::lab {

enum class ReferenceKv { kF16, kQ8_0, kQ4_0 };

struct ReferenceOptions {
  int context_tokens = 8192;
  int threads = 2;
  bool flash_attention = false;
  ReferenceKv kv = ReferenceKv::kF16;  // the others want flash attention
  int sequences = 1;                   // each with context_tokens of its own
};

class LlamaReference {
 public:
  static base::Result<std::unique_ptr<LlamaReference>> load(const std::string& path,
                                                            ReferenceOptions options);
  ~LlamaReference();

  void clear();
  /// Forgets every token from `tokens` on.
  void truncate(int tokens);
  /// Reads `tokens` in batches of 512 and returns the logits of all of them: [tokens, vocabulary].
  std::vector<float> logits_of_all(std::span<const std::int32_t> tokens);
  /// Reads `tokens`; only the last one's logits are computed. Returns when they are there.
  std::span<const float> read(std::span<const std::int32_t> tokens);
  /// Gives every other sequence a copy of what the first has read.
  void copy_to_all();
  /// One token for each sequence in one batch, with logits: a step of continuous batching.
  void step_all(std::int32_t token);
  int tokens() const { return position_; }
  int vocabulary() const { return vocabulary_; }

 private:
  LlamaReference() = default;
  llama_model* model_ = nullptr;
  llama_context* context_ = nullptr;
  int vocabulary_ = 0;
  int position_ = 0;
  int sequences_ = 1;
};

/// Writes the same weights, dequantised to f32, as another GGUF: with it no activation is quantised on the
/// way.
base::Status write_dequantised(const std::string& from, const std::string& to, int threads);

}  // namespace pmt::lab
