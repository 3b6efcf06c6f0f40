#include "inference/kv_pool_stats.h"

#include <algorithm>

namespace pmt::inference {

KvPoolStats sequence_stats(const Jobs& running, const kv_cache::KvShape& shape) {
  KvPoolStats stats;
  stats.bytes_by_layer_head.assign(static_cast<std::size_t>(shape.layers),
                                   std::vector<std::int64_t>(static_cast<std::size_t>(shape.kv_heads), 0));
  for (const auto& job : running) {
    for (const PagedGeneration& generation : job->running) {
      ++stats.sequences;
      stats.tokens += generation.sequence().tokens();
      if (generation.sequence().compact()) stats.bytes_compressed += generation.sequence().held().total();
      stats.tokens_kept += generation.sequence().slots() / (shape.layers * shape.kv_heads);
      for (std::uint32_t layer = 0; layer < stats.bytes_by_layer_head.size(); ++layer) {
        auto& heads = stats.bytes_by_layer_head[layer];
        for (std::uint32_t head = 0; head < heads.size(); ++head)
          heads[head] += generation.sequence().bytes(kv_cache::LayerId(layer), kv_cache::KvHeadId(head));
      }
    }
  }
  return stats;
}

CompressedPrompt compressed_prompt(const kv_cache::SequenceKv& sequence, std::int64_t tokens_kept) {
  const kv_cache::KvShape& shape = sequence.shape();
  CompressedPrompt out{.tokens = sequence.tokens(), .tokens_kept = tokens_kept, .kept_by_layer_head = {}};
  const auto layers = static_cast<std::uint32_t>(shape.layers),
             heads = static_cast<std::uint32_t>(shape.kv_heads);
  for (std::uint32_t layer = 0; layer < layers; ++layer) {
    std::vector<int>& kept = out.kept_by_layer_head.emplace_back();
    for (std::uint32_t head = 0; head < heads; ++head)
      kept.push_back(
          sequence.slot(kv_cache::LayerId(layer), kv_cache::KvHeadId(head), sequence.tokens() - 1) + 1);
  }
  const double f16_bytes = 2.0 * 2 * sequence.tokens() * shape.layers * shape.kv_heads * shape.head_dim;
  out.ratio = f16_bytes / static_cast<double>(std::max<std::int64_t>(sequence.held().total(), 1));
  return out;
}

}  // namespace pmt::inference
