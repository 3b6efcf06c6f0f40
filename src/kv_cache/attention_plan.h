// Cuts one step's attention into work items that threads take one after another (note 0003).
//
// A batch is a list of spans: consecutive new tokens of one sequence. An item is (span, KV head, query tile,
// run of segments). When there are few tiles, as in decoding a long context, a tile's segments are spread
// over several items and the last one to finish folds the partial results, always from left to right, so the
// bits are the same. Thread-safety: built by one thread; run_item may then run on any number of threads at
// once, each with its own Scratch and each item once.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/attention.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::kv_cache {

/// New tokens [row_first, row_first + tokens) of the batch, continuing `sequence` at position `start`.
struct Span {
  const SequenceKv* sequence = nullptr;  // with room reserved for them
  int row_first = 0;
  int tokens = 0;
  int start = 0;
  /// More than 0: the greatest probability that any of the span's queries gives each of the first
  /// `scored_tokens` tokens is kept in the run's ScoreBuffer. Exact sequences only, one scored span a step.
  int scored_tokens = 0;
};

/// One thread's maxima for the scored span: [layers * kv_heads, stride].
struct ScoreBuffer {
  std::vector<float> values;
  std::size_t stride = 0;

  /// The kernels work on whole pages.
  static std::size_t stride_for(int tokens) {
    return static_cast<std::size_t>((tokens + kernels::kPageTokens - 1) / kernels::kPageTokens) *
           kernels::kPageTokens;
  }
};

struct AttentionShape {
  int group = 1;  // query heads per KV head
  int head_dim = 0;
  int kv_heads = 0;
  float scale = 1;
};

class AttentionPlan {
 public:
  explicit AttentionPlan(const PagePool& pool) : pool_(&pool) {}

  /// Plans `spans` for `threads` workers over `layers` layers.
  void build(const std::vector<Span>& spans, AttentionShape shape, int layers, int threads);

  /// Takes items of `layer` until none is left. `q`, `out`: [rows, heads, head_dim] with heads in groups.
  void run(LayerId layer, const kernels::AttentionKernels& kernels, const float* q, float* out,
           kernels::Scratch& scratch, ScoreBuffer* scores = nullptr);

  std::size_t items() const { return items_.size(); }

 private:
  struct Item {
    std::uint32_t span;
    std::uint16_t head;
    std::uint16_t queries;
    std::int32_t query_first;
    std::int32_t segment_first, segment_end;
    std::int32_t split = -1;  // index into splits_, -1: the item covers the whole tile
  };
  /// A tile spread over several items.
  struct Split {
    std::int32_t parts = 0;
    std::int32_t partial_first = 0;  // into partials_
  };

  kernels::AttentionTile tile_of(const Item& item, LayerId layer, const float* q) const;
  void run_item(const Item& item, LayerId layer, const kernels::AttentionKernels& kernels, const float* q,
                float* out, kernels::Scratch& scratch, ScoreBuffer* scores);
  kernels::Partial* attend(const Item& item, LayerId layer, const kernels::AttentionTile& tile,
                           const kernels::AttentionKernels& kernels, kernels::Scratch& scratch);
  void add_tile(std::uint32_t span, int head, int query_first, int queries, int segments_per_item);

  const PagePool* pool_;
  AttentionShape shape_;
  std::vector<Span> spans_;
  std::vector<Item> items_;
  std::vector<Split> splits_;
  std::vector<kernels::Partial> partials_;
  std::vector<std::atomic<std::uint32_t>> next_item_;  // [layers]
  std::vector<std::atomic<std::int32_t>> parts_left_;  // [layers * splits]
};

}  // namespace pmt::kv_cache
