#include "kv_cache/attention_plan.h"

#include <algorithm>

#include "base/check.h"

namespace pmt::kv_cache {
namespace {

constexpr int kItemsPerThread = 4;  // enough for the dynamic order to even out the threads

int segments_of(int visible) {
  return (visible + kernels::kSegmentTokens - 1) / kernels::kSegmentTokens;
}

/// Slots that the longest table shows the token at `position`.
int longest(const Span& span, int position) {
  return span.sequence == nullptr ? position + 1 : span.sequence->longest(position);
}

}  // namespace

void AttentionPlan::build(const std::vector<Span>& spans, AttentionShape shape, int layers, int threads) {
  CHECK(shape.group <= kernels::kRowsMax && shape.head_dim <= kernels::kHeadDimMax &&
        shape.head_dim % 16 == 0);
  shape_ = shape;
  spans_ = spans;
  items_.clear();
  splits_.clear();
  const int queries_max = kernels::kRowsMax / shape.group;
  int tiles = 0;
  int segments = 0;
  for (const Span& span : spans_) {
    const int span_tiles = (span.tokens + queries_max - 1) / queries_max;
    tiles += span_tiles * shape.kv_heads;
    segments += span_tiles * shape.kv_heads * segments_of(longest(span, span.start + span.tokens - 1));
  }
  // Few tiles: cut them so that every thread gets some items. Many: a tile is one item.
  const bool split = tiles < threads * kItemsPerThread;
  const int segments_per_item = split ? std::max(1, segments / (threads * kItemsPerThread)) : 1 << 30;
  for (std::uint32_t s = 0; s < spans_.size(); ++s) {
    // Later tiles see more tokens: started first, the long ones don't end up last and alone.
    const int count = (spans_[s].tokens + queries_max - 1) / queries_max;
    for (int tile = count - 1; tile >= 0; --tile) {
      const int first = tile * queries_max;
      const int queries = std::min(queries_max, spans_[s].tokens - first);
      for (int head = 0; head < shape.kv_heads; ++head) add_tile(s, head, first, queries, segments_per_item);
    }
  }
  std::int32_t partials = 0;
  for (Split& each : splits_) {
    each.partial_first = partials;
    partials += each.parts;
  }
  if (static_cast<std::size_t>(partials) > partials_.size())
    partials_.resize(static_cast<std::size_t>(partials));
  next_item_ = std::vector<std::atomic<std::uint32_t>>(static_cast<std::size_t>(layers));
  parts_left_ = std::vector<std::atomic<std::int32_t>>(static_cast<std::size_t>(layers) * splits_.size());
  for (std::size_t i = 0; i < parts_left_.size(); ++i) parts_left_[i] = splits_[i % splits_.size()].parts;
}

void AttentionPlan::add_tile(std::uint32_t span, int head, int query_first, int queries,
                             int segments_per_item) {
  const Span& of = spans_[span];
  const int segments = segments_of(longest(of, of.start + query_first + queries - 1));
  Item item{span,    static_cast<std::uint16_t>(head), static_cast<std::uint16_t>(queries), query_first, 0,
            segments};
  if (segments <= segments_per_item) {
    items_.push_back(item);
    return;
  }
  // A part is one segment of partial result, so that folding has one order however the items are cut.
  item.split = static_cast<std::int32_t>(splits_.size());
  splits_.push_back({segments, 0});
  for (int first = 0; first < segments; first += segments_per_item) {
    item.segment_first = first;
    item.segment_end = std::min(segments, first + segments_per_item);
    items_.push_back(item);
  }
}

kernels::AttentionTile AttentionPlan::tile_of(const Item& item, LayerId layer, const float* q) const {
  static_assert(sizeof(PageId) == sizeof(std::uint32_t));
  const Span& span = spans_[item.span];
  kernels::AttentionTile tile;
  const KvHeadId head(item.head);
  const SequenceKv::Table table = span.sequence->table(layer, head);
  tile.kv = {pool_->base(),       pool_->unit_bytes(),   &table.pages.data()->value,
             table.compact_pages, span.sequence->tail(), table.biases};
  const std::ptrdiff_t row_floats = std::ptrdiff_t{shape_.kv_heads} * shape_.group * shape_.head_dim;
  tile.summary = table.summary;
  tile.q_stride = row_floats;
  tile.q = q + (span.row_first + item.query_first) * row_floats + item.head * shape_.group * shape_.head_dim;
  tile.queries = item.queries;
  tile.group = shape_.group;
  tile.head_dim = shape_.head_dim;
  tile.scale = shape_.scale;
  tile.visible_first = span.sequence->slot(layer, head, span.start + item.query_first) + 1;
  tile.window = span.sequence->shape().window_of(layer);
  return tile;
}

/// Attends over the item's segments; the tile's folded partial when this item was the last of the tile.
/// Tables of a compact sequence end before the planned segments do, and a local layer sees only the last
/// ones: the others have nothing to attend to.
kernels::Partial* AttentionPlan::attend(const Item& item, LayerId layer, const kernels::AttentionTile& tile,
                                        const kernels::AttentionKernels& kernels, kernels::Scratch& scratch) {
  const int rows = tile.queries * tile.group;
  const int present = segments_of(tile.visible_first + tile.queries - 1);
  const int seen = tile.hidden(0) / kernels::kSegmentTokens;
  const int end = std::min(item.segment_end, present);
  if (item.split < 0) {
    kernels.attend_segment(tile, seen, scratch, scratch.total);
    for (int s = seen + 1; s < end; ++s) {
      kernels.attend_segment(tile, s, scratch, scratch.part);
      kernels.merge(rows, tile.head_dim, scratch.total, scratch.part);
    }
    return &scratch.total;
  }
  const Split& split = splits_[static_cast<std::size_t>(item.split)];
  kernels::Partial* parts = partials_.data() + split.partial_first;
  for (int s = std::max(item.segment_first, seen); s < end; ++s)
    kernels.attend_segment(tile, s, scratch, parts[s]);
  auto& left = parts_left_[layer.value * splits_.size() + static_cast<std::size_t>(item.split)];
  const int done = item.segment_end - item.segment_first;
  if (left.fetch_sub(done, std::memory_order_acq_rel) != done) return nullptr;
  for (int s = seen + 1; s < std::min(split.parts, present); ++s)
    kernels.merge(rows, tile.head_dim, parts[seen], parts[s]);
  return &parts[seen];
}

void AttentionPlan::run_item(const Item& item, LayerId layer, const kernels::AttentionKernels& kernels,
                             const float* q, float* out, kernels::Scratch& scratch, ScoreBuffer* scores) {
  const kernels::AttentionTile tile = tile_of(item, layer, q);
  kernels.load_queries(tile, scratch);
  kernels::Partial* folded = attend(item, layer, tile, kernels, scratch);
  if (folded == nullptr) return;
  if (tile.summary.vectors != nullptr) kernels.attend_summary(tile, scratch, *folded);
  kernels.finish(tile, *folded, out + (tile.q - q), tile.q_stride);
  const int scored = spans_[item.span].scored_tokens;
  if (scores == nullptr || scored == 0) return;
  const std::size_t table = layer.value * static_cast<std::size_t>(shape_.kv_heads) + item.head;
  kernels.score_max(tile, *folded, scored, scratch, scores->values.data() + table * scores->stride);
}

void AttentionPlan::run(LayerId layer, const kernels::AttentionKernels& kernels, const float* q, float* out,
                        kernels::Scratch& scratch, ScoreBuffer* scores) {
  for (;;) {
    const std::uint32_t i = next_item_[layer.value].fetch_add(1, std::memory_order_relaxed);
    if (i >= items_.size()) return;
    run_item(items_[i], layer, kernels, q, out, scratch, scores);
  }
}

}  // namespace pmt::kv_cache
