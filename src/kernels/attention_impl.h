// The attention algorithm once, over a vector type V: included by one .cpp per instruction set, each compiled
// with its own flags. Everything is in an unnamed namespace and nothing from the standard library is
// instantiated here, so that the linker can't pick an AVX-512 copy of a shared inline function for an older
// CPU.
//
// V offers: kLanes, load, load_f16, store, broadcast, fma(a, b, c) = a * b + c, mul, add, sub, max, exp, and
// the horizontal reduce_max / reduce_add in one fixed order.
//
// Register budget (AVX-512: 32 of 16 lanes): scores take kScoreRows x (32 / lanes) accumulators, values take
// kValueRows x kValueVecs; both leave room for the loaded page vectors and the broadcast.
#pragma once

#include "kernels/attention.h"

namespace pmt::kernels {
namespace {

constexpr float kMinusInf = -__builtin_inff();

template <class V>
struct Attention {
  static constexpr int kTokenVecs = kPageTokens / V::kLanes;
  static constexpr int kScoreRows = V::kScoreRows;
  static constexpr int kValueRows = V::kValueRows;
  static constexpr int kValueVecs = V::kValueVecs;
  static constexpr int kUnpackRows =
      2 * kScoreRows;  // above: unpacking a page once beats converting per block

  static void load_queries(const AttentionTile& tile, Scratch& scratch) {
    const auto scale = V::broadcast(tile.scale);
    for (int i = 0; i < tile.queries; ++i) {
      const float* from = tile.q + i * tile.q_stride;
      float* to = scratch.q + i * tile.group * tile.head_dim;
      for (int d = 0; d < tile.group * tile.head_dim; d += V::kLanes) {
        V::store(to + d, V::mul(V::load(from + d), scale));
      }
    }
  }

  // --- scores: rows x 32 tokens of q . k -----------------------------------------------------------------

  template <int R, class Element>
  static void score_rows(const float* q, int head_dim, const Element* keys, float* scores) {
    typename V::Reg acc[R][kTokenVecs];
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < kTokenVecs; ++v) acc[r][v] = V::broadcast(0.0F);
    }
    for (int d = 0; d < head_dim; ++d) {
      typename V::Reg k[kTokenVecs];
      for (int v = 0; v < kTokenVecs; ++v) k[v] = V::load(keys + d * kPageTokens + v * V::kLanes);
      for (int r = 0; r < R; ++r) {
        const auto x = V::broadcast(q[r * head_dim + d]);
        for (int v = 0; v < kTokenVecs; ++v) acc[r][v] = V::fma(x, k[v], acc[r][v]);
      }
    }
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < kTokenVecs; ++v) V::store(scores + r * kPageTokens + v * V::kLanes, acc[r][v]);
    }
  }

  template <int R, class Element>
  static void score_tail(int rows, const float* q, int head_dim, const Element* keys, float* scores) {
    if constexpr (R > 0) {
      if (rows == R) return score_rows<R>(q, head_dim, keys, scores);
      score_tail<R - 1>(rows, q, head_dim, keys, scores);
    }
  }

  template <class Element>
  static void score_page(int rows, const float* q, int head_dim, const Element* keys, float* scores) {
    int r = 0;
    for (; r + kScoreRows <= rows; r += kScoreRows) {
      score_rows<kScoreRows>(q + r * head_dim, head_dim, keys, scores + r * kPageTokens);
    }
    score_tail<kScoreRows - 1>(rows - r, q + r * head_dim, head_dim, keys, scores + r * kPageTokens);
  }

  // --- online softmax: scores become probabilities, and the running maximum moves -------------------------

  static void softmax_row(int visible, float* scores, float& max, float& sum, float& correction) {
    for (int t = visible; t < kPageTokens; ++t) scores[t] = kMinusInf;
    typename V::Reg s[kTokenVecs];
    for (int v = 0; v < kTokenVecs; ++v) s[v] = V::load(scores + v * V::kLanes);
    auto top = s[0];
    for (int v = 1; v < kTokenVecs; ++v) top = V::max(top, s[v]);
    const float page_max = V::reduce_max(top);
    const float new_max = page_max > max ? page_max : max;
    correction = max == kMinusInf ? 0.0F : V::exp_scalar(max - new_max);
    auto total = V::broadcast(0.0F);
    for (int v = 0; v < kTokenVecs; ++v) {
      const auto p = V::exp(V::sub(s[v], V::broadcast(new_max)));
      V::store(scores + v * V::kLanes, p);
      total = V::add(total, p);
    }
    sum = sum * correction + V::reduce_add(total);
    max = new_max;
  }

  // --- values: out = out * correction + p . V -------------------------------------------------------------

  template <int R, int VECS, class Element>
  static void value_rows(const float* probs, const float* correction, const Element* values, int tokens,
                         int head_dim, float* out) {
    typename V::Reg acc[R][VECS];
    for (int r = 0; r < R; ++r) {
      const auto c = V::broadcast(correction[r]);
      for (int v = 0; v < VECS; ++v) acc[r][v] = V::mul(V::load(out + r * head_dim + v * V::kLanes), c);
    }
    for (int t = 0; t < tokens; ++t) {
      typename V::Reg x[VECS];
      for (int v = 0; v < VECS; ++v) x[v] = V::load(values + t * head_dim + v * V::kLanes);
      for (int r = 0; r < R; ++r) {
        const auto p = V::broadcast(probs[r * kPageTokens + t]);
        for (int v = 0; v < VECS; ++v) acc[r][v] = V::fma(p, x[v], acc[r][v]);
      }
    }
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < VECS; ++v) V::store(out + r * head_dim + v * V::kLanes, acc[r][v]);
    }
  }

  template <int R, class Element>
  static void value_block(const float* probs, const float* correction, const Element* values, int tokens,
                          int head_dim, float* out) {
    constexpr int kStep = kValueVecs * V::kLanes;
    int d = 0;
    for (; d + kStep <= head_dim; d += kStep) {
      value_rows<R, kValueVecs>(probs, correction, values + d, tokens, head_dim, out + d);
    }
    for (; d < head_dim; d += V::kLanes) {
      value_rows<R, 1>(probs, correction, values + d, tokens, head_dim, out + d);
    }
  }

  template <int R, class Element>
  static void value_tail(int rows, const float* probs, const float* correction, const Element* values,
                         int tokens, int head_dim, float* out) {
    if constexpr (R > 0) {
      if (rows == R) return value_block<R>(probs, correction, values, tokens, head_dim, out);
      value_tail<R - 1>(rows, probs, correction, values, tokens, head_dim, out);
    }
  }

  template <class Element>
  static void value_page(int rows, const float* probs, const float* correction, const Element* values,
                         int tokens, int head_dim, float* out) {
    int r = 0;
    for (; r + kValueRows <= rows; r += kValueRows) {
      value_block<kValueRows>(probs + r * kPageTokens, correction + r, values, tokens, head_dim,
                              out + r * head_dim);
    }
    value_tail<kValueRows - 1>(rows - r, probs + r * kPageTokens, correction + r, values, tokens, head_dim,
                               out + r * head_dim);
  }

  static void unpack(const std::uint16_t* from, int n, float* to) {
    for (int i = 0; i < n; i += V::kLanes) V::store(to + i, V::load(from + i));
  }

  /// While page i is worked on, the next one is fetched: pages are scattered, and the hardware's prefetcher
  /// stops at each one's end.
  static void prefetch(const std::byte* page, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; at += 64) __builtin_prefetch(page + at, 0, 2);
  }

  static void attend_segment(const AttentionTile& tile, int segment, Scratch& scratch, Partial& out) {
    const int rows = tile.queries * tile.group;
    const int head_dim = tile.head_dim;
    for (int r = 0; r < rows; ++r) {
      out.max[r] = kMinusInf;
      out.sum[r] = 0;
    }
    const auto zero = V::broadcast(0.0F);
    for (int i = 0; i < rows * head_dim; i += V::kLanes) V::store(out.out + i, zero);

    const int visible_last = tile.visible_first + tile.queries - 1;
    const int first_page = segment * kSegmentPages;
    const int pages = (visible_last + kPageTokens - 1) / kPageTokens;
    const int end_page = pages < first_page + kSegmentPages ? pages : first_page + kSegmentPages;
    for (int p = first_page; p < end_page; ++p) {
      if (p + 1 < pages) prefetch(tile.kv.page(p + 1), tile.kv.page_bytes);
      attend_page(tile, p, rows, visible_last, scratch, out);
    }
  }

  static void attend_page(const AttentionTile& tile, int p, int rows, int visible_last, Scratch& scratch,
                          Partial& out) {
    const int head_dim = tile.head_dim;
    const int start = p * kPageTokens;
    const std::byte* page = tile.kv.page(p);
    const std::uint16_t* keys = f16_page_keys(page);
    const std::uint16_t* values = f16_page_values(page, head_dim);
    const int tokens = visible_last - start < kPageTokens ? visible_last - start : kPageTokens;
    // Rows whose query doesn't reach this page at all come first in the tile: skip them.
    int row0 = 0;
    while (row0 < rows && tile.visible_first + row0 / tile.group <= start) ++row0;
    const int live = rows - row0;
    float* probs = scratch.probs;
    const bool unpacked = live > kUnpackRows;
    if (unpacked) {
      unpack(keys, head_dim * kPageTokens, scratch.keys);
      score_page(live, scratch.q + row0 * head_dim, head_dim, scratch.keys, probs);
    } else {
      score_page(live, scratch.q + row0 * head_dim, head_dim, keys, probs);
    }
    for (int r = 0; r < live; ++r) {
      const int row = row0 + r;
      const int seen = tile.visible_first + row / tile.group - start;
      softmax_row(seen < kPageTokens ? seen : kPageTokens, probs + r * kPageTokens, out.max[row],
                  out.sum[row], scratch.correction[r]);
    }
    float* sums = out.out + row0 * head_dim;
    if (unpacked) {
      unpack(values, tokens * head_dim, scratch.values);
      value_page(live, probs, scratch.correction, scratch.values, tokens, head_dim, sums);
    } else {
      value_page(live, probs, scratch.correction, values, tokens, head_dim, sums);
    }
  }

  static void merge(int rows, int head_dim, Partial& into, const Partial& from) {
    for (int r = 0; r < rows; ++r) {
      if (from.max[r] == kMinusInf) continue;
      const float top = from.max[r] > into.max[r] ? from.max[r] : into.max[r];
      const float a = into.max[r] == kMinusInf ? 0.0F : V::exp_scalar(into.max[r] - top);
      const float b = V::exp_scalar(from.max[r] - top);
      into.sum[r] = into.sum[r] * a + from.sum[r] * b;
      into.max[r] = top;
      const auto va = V::broadcast(a);
      const auto vb = V::broadcast(b);
      for (int d = r * head_dim; d < (r + 1) * head_dim; d += V::kLanes) {
        V::store(into.out + d, V::fma(V::load(from.out + d), vb, V::mul(V::load(into.out + d), va)));
      }
    }
  }

  static void finish(const AttentionTile& tile, const Partial& partial, float* out,
                     std::ptrdiff_t out_stride) {
    for (int row = 0; row < tile.queries * tile.group; ++row) {
      const auto inverse = V::broadcast(1.0F / partial.sum[row]);
      float* to = out + (row / tile.group) * out_stride + (row % tile.group) * tile.head_dim;
      const float* from = partial.out + row * tile.head_dim;
      for (int d = 0; d < tile.head_dim; d += V::kLanes) V::store(to + d, V::mul(V::load(from + d), inverse));
    }
  }

  static void store_f16(const float* k, const float* v, int head_dim, int slot, std::byte* page) {
    std::uint16_t* keys = f16_page_keys(page);
    for (int d = 0; d < head_dim; ++d) keys[d * kPageTokens + slot] = V::to_f16(k[d]);
    std::uint16_t* values = f16_page_values(page, head_dim) + slot * head_dim;
    for (int d = 0; d < head_dim; ++d) values[d] = V::to_f16(v[d]);
  }

  static constexpr AttentionKernels table(const char* name) {
    return {name, load_queries, attend_segment, merge, finish, store_f16};
  }
};

}  // namespace
}  // namespace pmt::kernels
