// Attention over paged keys and values: the kernels, chosen at run time for this CPU (note 0003).
//
// A tile is a few consecutive queries of one sequence against one KV head; the query heads that share the KV
// head (the group) are rows of the same tile, so each K/V page is read once for all of them. A tile's tokens
// are cut into segments of kSegmentTokens; attend_segment gives one segment's partial softmax, merge folds
// partials from left to right, finish divides. Because segments are cut at fixed places and each row's
// arithmetic has one order, a row's result has the same bits whatever tile, batch or thread it is computed in
// (per instruction set).
//
// Thread-safety: pure functions over their arguments. Errors: none; shapes are CHECKed by kv_cache's planner.
// Cost: 4 * rows * tokens * head_dim FLOPs; each page is read once a tile.
// Source: online softmax (Milakov, Gimelshein, arXiv 1805.02867), flash-decoding's split of one row over
// workers. We differ in cutting at fixed segments, for reproducible bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"
#include "kernels/page_layout.h"

namespace pmt::kernels {

inline constexpr int kRowsMax = 48;      // rows (queries x group) of a tile
inline constexpr int kHeadDimMax = 256;  // a multiple of 16

/// Added to the scores of a table's first tokens, in steps of kBiasStep (note 0018).
struct Biases {
  const std::int8_t* steps = nullptr;
  int tokens = 0;
};
inline constexpr float kBiasStep = 1.0F / 32;

/// The pages of one (sequence, layer, KV head), in order.
struct HeadPages {
  const std::byte* pool = nullptr;  // page i lies at pool + ids[i] * unit_bytes
  std::size_t unit_bytes = 0;
  const std::uint32_t* ids = nullptr;
  int coded = 0;                     // the first so many pages are compact
  PageCodec ends = PageCodec::kF16;  // of the others: kBytes where any is compact
  Biases biases = {};
  /// Whether the pages hold vectors in the compact codec's rotation.
  bool rotated() const { return ends == PageCodec::kBytes; }
  const std::byte* page(int i) const { return pool + unit_bytes * ids[i]; }
  PageCodec codec(int i) const { return i < coded ? PageCodec::kCompact : ends; }
};

/// What stands for the tokens that a compressed table evicted: one more key and value, which every query
/// sees, a number added to its score, and the most that the score may be (note 0018).
struct Summary {
  const std::uint16_t* vectors =
      nullptr;  // f16 [2, head_dim]: key, value, in the pages' rotation; null: none
  float bias = 0;
  float score_max = 0;
};

struct AttentionTile {
  HeadPages kv;
  Summary summary;
  const float* q = nullptr;     // query i's group starts at q + i * q_stride: [group, head_dim], after RoPE
  std::ptrdiff_t q_stride = 0;  // floats
  int queries = 0;
  int group = 1;
  int head_dim = 0;
  float scale = 1;
  int visible_first = 0;  // query i sees the first visible_first + i tokens; >= 1
  int window = 0;         // of those only the last so many; 0: all
  /// Tokens before what query i sees; the pages that hold nothing else are never touched.
  int hidden(int query) const {
    return window > 0 && visible_first + query > window ? visible_first + query - window : 0;
  }
};

/// Partial softmax of a tile's rows (row = query * group + head in group).
struct Partial {
  float max[kRowsMax];  // -inf where a row saw nothing
  float sum[kRowsMax];
  float out[kRowsMax * kHeadDimMax];  // [rows, head_dim], relative to max
};

/// One thread's working memory: the scaled queries, one page unpacked (compact: without its scales), its
/// probabilities.
struct Scratch {
  alignas(64) float q[kRowsMax * kHeadDimMax];
  alignas(64) float keys[kHeadDimMax * kPageTokens];
  alignas(64) float values[kPageTokens * kHeadDimMax];
  alignas(64) float probs[kRowsMax * kPageTokens];
  alignas(64) float correction[kRowsMax];
  Partial total;
  Partial part;
};

struct AttentionKernels {
  const char* name;
  /// Scales the tile's queries into scratch.q. Once a tile, before attend_segment.
  void (*load_queries)(const AttentionTile& tile, Scratch& scratch);
  /// The partial softmax over segment `segment` (tokens [segment, segment + 1) * kSegmentTokens).
  void (*attend_segment)(const AttentionTile& tile, int segment, Scratch& scratch, Partial& out);
  /// into = into (+) the tile's summary, which it has. After load_queries.
  void (*attend_summary)(const AttentionTile& tile, const Scratch& scratch, Partial& into);
  /// into = into (+) from. Fold from left to right.
  void (*merge)(int rows, int head_dim, Partial& into, const Partial& from);
  /// out[row] = partial.out[row] / partial.sum[row]; query i's group at out + i * out_stride.
  void (*finish)(const AttentionTile& tile, const Partial& partial, float* out, std::ptrdiff_t out_stride);
  /// For each of the first `tokens` tokens: score[t] = max(score[t], the probability that any of the tile's
  /// rows gives it). `folded` is the tile's whole partial; after load_queries; exact pages only. score has
  /// room for `tokens` rounded up to a page.
  void (*score_max)(const AttentionTile& tile, const Partial& folded, int tokens, Scratch& scratch,
                    float* score);
  /// Stores one token's K and V rows [head_dim] f32 as token `slot` of an f16 page (round to nearest even).
  void (*store_f16)(const float* k, const float* v, int head_dim, int slot, std::byte* page);
  /// Reads them back.
  void (*load_f16)(const std::byte* page, int head_dim, int slot, float* k, float* v);
  /// Codes one token's K and V rows [head_dim] f32 as token `slot` of a page of bytes. Tokens share no byte.
  void (*store_bytes)(const float* k, const float* v, int head_dim, int slot, std::byte* page);
  /// Reads them back, out of the rotation.
  void (*load_bytes)(const std::byte* page, int head_dim, int slot, float* k, float* v);
  /// Codes one token's K and V rows [head_dim] f32 as token `slot` of a compact page.
  void (*store_compact)(const float* k, const float* v, int head_dim, int slot, std::byte* page);

  /// to = from [head_dim] in the compact codec's rotation.
  void (*rotate)(const float* from, float* to, int head_dim);

  auto store(PageCodec codec) const {
    return codec == PageCodec::kF16 ? store_f16 : codec == PageCodec::kBytes ? store_bytes : store_compact;
  }
};

/// Null when this CPU lacks the instructions.
const AttentionKernels* attention_kernels(Isa isa);
/// The fastest one that this CPU runs.
const AttentionKernels& best_attention_kernels();

}  // namespace pmt::kernels
