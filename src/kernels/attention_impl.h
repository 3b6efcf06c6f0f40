// The attention algorithm once, over a vector type V: included by one .cpp per instruction set, each compiled
// with its own flags. Everything is in an unnamed namespace and nothing from the standard library is
// instantiated here, so that the linker can't pick an AVX-512 copy of a shared inline function for an older
// CPU.
//
// V offers: kLanes, load (f32, f16, bytes), store, broadcast, fma(a, b, c) = a * b + c, mul, add, sub, max,
// exp, the horizontal reduce_max / reduce_add in one fixed order, and the compact codec's levels: load_k4 (32
// tokens of a dimension), load_v4 and load_v3 (16 dimensions of a token). Lanes may hold those in an order of
// V's own, which store_k4, shuffled and unshuffled undo once a page.
//
// Register budget (AVX-512: 32 of 16 lanes): scores take kScoreRows x (32 / lanes) accumulators, values take
// kValueRows x kValueVecs; both leave room for the loaded page vectors and the broadcast.
#pragma once

#include "kernels/attention.h"
#include "kernels/compact_codec_impl.h"

namespace pmt::kernels {
namespace {

constexpr float kMinusInf = -__builtin_inff();
constexpr int kStepDims = kCompactTailDims;  // of a value, loaded at once

/// How the inner loops see one page. Compact views give levels without the scales: those multiply whole rows
/// of scores and probabilities afterwards.
template <class V, class Element>
struct DenseView {
  const Element* keys;
  const Element* values;
  int head_dim;
  static constexpr bool kHasTail = false;
  const Element* keys_of(int d) const { return keys + d * kPageTokens; }
  static typename V::Reg key(const Element* of, int v) { return V::load(of + v * V::kLanes); }
  void load_values(int t, int d, typename V::Reg* x) const {
    for (int v = 0; v < kStepDims / V::kLanes; ++v) x[v] = V::load(values + t * head_dim + d + v * V::kLanes);
  }
  static void store_tokens(float* to, const typename V::Reg* x) {
    for (int v = 0; v < kPageTokens / V::kLanes; ++v) V::store(to + v * V::kLanes, x[v]);
  }
  static typename V::Reg shuffled(typename V::Reg x) { return x; }
  static typename V::Reg unshuffled(typename V::Reg x) { return x; }
};

template <class V>
struct CompactView {
  const std::uint8_t* keys;
  const std::uint8_t* values;
  const std::uint8_t* tails;
  int head_dim;
  int wide;                               // dimensions of a value before its tail
  static constexpr bool kHasTail = true;  // the last kStepDims of a value
  CompactView(const std::byte* page, int dims)
      : keys(reinterpret_cast<const std::uint8_t*>(page)),
        values(keys + CompactLayout(dims).values),
        tails(keys + CompactLayout(dims).value_tails),
        head_dim(dims),
        wide(dims - kCompactTailDims) {}
  typename V::K4 keys_of(int d) const { return V::load_k4(keys + d * 16); }
  static typename V::Reg key(const typename V::K4& of, int v) { return V::level(of, v); }
  void load_values(int t, int d, typename V::Reg* x) const { V::load_v4(values + t * (wide / 2) + d / 2, x); }
  void load_tail(int t, typename V::Reg* x) const { V::load_v3(tails + t * kCompactTailBytes, x); }
  static void store_tokens(float* to, const typename V::Reg* x) { V::store_k4(to, x); }
  static typename V::Reg shuffled(typename V::Reg x) { return V::shuffled(x); }
  static typename V::Reg unshuffled(typename V::Reg x) { return V::unshuffled(x); }
};

/// The page after this one, fetched a little at each step through this one: pages are scattered, and the
/// hardware's prefetcher stops at each one's end. All of it at once would fill the buffers of outstanding
/// reads, and nothing would be computed until it came.
struct NextPage {
  const std::byte* keys;
  const std::byte* values;
  int pair_bytes;  // of two elements, on average
  int head_dim;

  NextPage(const std::byte* page, PageCodec codec, int dims)
      : keys(page), values(page + page_bytes(codec, dims) / 2), head_dim(dims) {
    pair_bytes = static_cast<int>(page_bytes(codec, dims)) / (kPageTokens * dims);
  }
  void fetch_keys(int d) const { __builtin_prefetch(keys + d * pair_bytes * (kPageTokens / 2), 0, 2); }
  void fetch_values(int t, int d, int dims) const {
    const std::byte* from = values + (t * head_dim + d) * pair_bytes / 2;
    for (int at = 0; at < dims * pair_bytes / 2; at += 64) __builtin_prefetch(from + at, 0, 2);
  }
};

/// Where there is none, or it was fetched before.
struct NoPage {
  void fetch_keys(int) const {}
  void fetch_values(int, int, int) const {}
};

template <class V>
struct Attention {
  static constexpr int kTokenVecs = kPageTokens / V::kLanes;
  static constexpr int kScoreRows = V::kScoreRows;
  static constexpr int kValueRows = V::kValueRows;
  static constexpr int kValueVecs = V::kValueVecs;
  static constexpr int kStepVecs = kStepDims / V::kLanes;
  static constexpr int kUnpackRows =
      2 * kScoreRows;  // above: unpacking a page once beats converting per block

  using Codec = CompactCodec<V>;

  static void load_queries(const AttentionTile& tile, Scratch& scratch) {
    const auto scale = V::broadcast(tile.scale);
    for (int i = 0; i < tile.queries; ++i) {
      const float* from = tile.q + i * tile.q_stride;
      float* to = scratch.q + i * tile.group * tile.head_dim;
      for (int d = 0; d < tile.group * tile.head_dim; d += V::kLanes) {
        V::store(to + d, V::mul(V::load(from + d), scale));
      }
      for (int g = 0; tile.kv.rotated() && g < tile.group; ++g)
        Codec::rotate(to + g * tile.head_dim, to + g * tile.head_dim, tile.head_dim);
    }
  }

  // --- scores: rows x 32 tokens of q . k -----------------------------------------------------------------

  template <int R, class View, class Next>
  static void score_rows(const float* q, const View& page, const Next& next, float* scores) {
    const int head_dim = page.head_dim;
    typename V::Reg acc[R][kTokenVecs];
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < kTokenVecs; ++v) acc[r][v] = V::broadcast(0.0F);
    }
    for (int d = 0; d < head_dim; ++d) {
      next.fetch_keys(d);
      const auto keys = page.keys_of(d);
      const float* x = q + d;
      for (int v = 0; v < kTokenVecs; ++v) {
        const auto k = View::key(keys, v);
        for (int r = 0; r < R; ++r) acc[r][v] = V::fma(V::broadcast(x[r * head_dim]), k, acc[r][v]);
      }
    }
    for (int r = 0; r < R; ++r) View::store_tokens(scores + r * kPageTokens, acc[r]);
  }

  template <int R, class View, class Next>
  static void score_tail(int rows, const float* q, const View& page, const Next& next, float* scores) {
    if constexpr (R > 0) {
      if (rows == R) return score_rows<R>(q, page, next, scores);
      score_tail<R - 1>(rows, q, page, next, scores);
    }
  }

  template <class View, class Next>
  static void score_page(int rows, const float* q, const View& page, const Next& next, float* scores) {
    int r = 0;
    for (; r + kScoreRows <= rows; r += kScoreRows) {
      score_rows<kScoreRows>(q + r * page.head_dim, page, next, scores + r * kPageTokens);
    }
    score_tail<kScoreRows - 1>(rows - r, q + r * page.head_dim, page, next, scores + r * kPageTokens);
  }

  /// A page's scales, a code a token, and what the view's numbers count in.
  struct Scales {
    const std::uint8_t* keys;
    const std::uint8_t* values;
    float unit;
  };

  /// Every row's 32 numbers times the page's 32 scales.
  static void scale_tokens(int rows, const std::uint8_t* codes, float unit, float* rows32) {
    alignas(64) float scales[kPageTokens];
    for (int t = 0; t < kPageTokens; ++t) scales[t] = kScales.of[codes[t]] * unit;
    for (int v = 0; v < kTokenVecs; ++v) {
      const auto scale = V::load(scales + v * V::kLanes);
      for (int r = 0; r < rows; ++r) {
        float* at = rows32 + r * kPageTokens + v * V::kLanes;
        V::store(at, V::mul(V::load(at), scale));
      }
    }
  }

  /// Every row's 32 numbers plus the biases of the page's tokens, as far as there are any.
  static void bias_tokens(int rows, const Biases& biases, int start, float* rows32) {
    alignas(64) float added[kPageTokens];
    for (int t = 0; t < kPageTokens; ++t)
      added[t] = start + t < biases.tokens ? static_cast<float>(biases.steps[start + t]) * kBiasStep : 0.0F;
    for (int v = 0; v < kTokenVecs; ++v) {
      const auto bias = V::load(added + v * V::kLanes);
      for (int r = 0; r < rows; ++r) {
        float* at = rows32 + r * kPageTokens + v * V::kLanes;
        V::store(at, V::add(V::load(at), bias));
      }
    }
  }

  // --- online softmax: scores become probabilities, and the running maximum moves -------------------------

  /// Of the page's tokens, [hidden, visible) are seen: at least one.
  static void softmax_row(int hidden, int visible, float* scores, float& max, float& sum, float& correction) {
    for (int t = 0; t < hidden; ++t) scores[t] = kMinusInf;
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

  /// For the dimensions from d on; the last step of them is the view's tail if TAIL.
  template <int R, int VECS, bool TAIL, class View, class Next>
  static void value_rows(const float* probs, const float* correction, const View& page, const Next& next,
                         int d, int tokens, float* out) {
    const int head_dim = page.head_dim;
    typename V::Reg acc[R][VECS];
    for (int r = 0; r < R; ++r) {
      const auto c = V::broadcast(correction[r]);
      for (int v = 0; v < VECS; ++v)
        acc[r][v] = V::mul(View::shuffled(V::load(out + r * head_dim + v * V::kLanes)), c);
    }
    for (int t = 0; t < tokens; ++t) {
      next.fetch_values(t, d, VECS * V::kLanes);
      typename V::Reg x[VECS];
      for (int v = 0; v < VECS - (TAIL ? kStepVecs : 0); v += kStepVecs)
        page.load_values(t, d + v * V::kLanes, x + v);
      if constexpr (TAIL) page.load_tail(t, x + VECS - kStepVecs);
      for (int r = 0; r < R; ++r) {
        const auto p = V::broadcast(probs[r * kPageTokens + t]);
        for (int v = 0; v < VECS; ++v) acc[r][v] = V::fma(p, x[v], acc[r][v]);
      }
    }
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < VECS; ++v)
        V::store(out + r * head_dim + v * V::kLanes, View::unshuffled(acc[r][v]));
    }
  }

  template <int R, class View, class Next>
  static void value_block(const float* probs, const float* correction, const View& page, const Next& next,
                          int tokens, float* out) {
    constexpr int kBlock = kValueVecs * V::kLanes;
    int d = 0;
    for (; d + kBlock <= page.head_dim; d += kBlock)
      value_dims<R, kValueVecs>(probs, correction, page, next, d, tokens, out + d);
    for (; d < page.head_dim; d += kStepDims)
      value_dims<R, kStepVecs>(probs, correction, page, next, d, tokens, out + d);
  }

  template <int R, int VECS, class View, class Next>
  static void value_dims(const float* probs, const float* correction, const View& page, const Next& next,
                         int d, int tokens, float* out) {
    if constexpr (View::kHasTail) {
      if (d + VECS * V::kLanes == page.head_dim)
        return value_rows<R, VECS, true>(probs, correction, page, next, d, tokens, out);
    }
    value_rows<R, VECS, false>(probs, correction, page, next, d, tokens, out);
  }

  template <int R, class View, class Next>
  static void value_tail(int rows, const float* probs, const float* correction, const View& page,
                         const Next& next, int tokens, float* out) {
    if constexpr (R > 0) {
      if (rows == R) return value_block<R>(probs, correction, page, next, tokens, out);
      value_tail<R - 1>(rows, probs, correction, page, next, tokens, out);
    }
  }

  template <class View, class Next>
  static void value_page(int rows, const float* probs, const float* correction, const View& page,
                         const Next& next, int tokens, float* out) {
    int r = 0;
    for (; r + kValueRows <= rows; r += kValueRows) {
      value_block<kValueRows>(probs + r * kPageTokens, correction + r, page, next, tokens,
                              out + r * page.head_dim);
    }
    value_tail<kValueRows - 1>(rows - r, probs + r * kPageTokens, correction + r, page, next, tokens,
                               out + r * page.head_dim);
  }

  template <class View, class Next>
  static void unpack_keys(const View& page, const Next& next, float* to) {
    for (int d = 0; d < page.head_dim; ++d) {
      next.fetch_keys(d);
      const auto keys = page.keys_of(d);
      typename V::Reg k[kTokenVecs];
      for (int v = 0; v < kTokenVecs; ++v) k[v] = View::key(keys, v);
      View::store_tokens(to + d * kPageTokens, k);
    }
  }

  template <class View, class Next>
  static void unpack_values(const View& page, const Next& next, int tokens, float* to) {
    for (int t = 0; t < tokens; ++t) {
      next.fetch_values(t, 0, page.head_dim);
      typename V::Reg x[kStepVecs];
      const auto store = [&](int d) __attribute__((always_inline)) {
        for (int v = 0; v < kStepVecs; ++v)
          V::store(to + t * page.head_dim + d + v * V::kLanes, View::unshuffled(x[v]));
      };
      const int plain = page.head_dim - (View::kHasTail ? kStepDims : 0);
      for (int d = 0; d < plain; d += kStepDims) {
        page.load_values(t, d, x);
        store(d);
      }
      if constexpr (View::kHasTail) {
        page.load_tail(t, x);
        store(plain);
      }
    }
  }

  static void attend_segment(const AttentionTile& tile, int segment, Scratch& scratch, Partial& out) {
    const int head_dim = tile.head_dim;
    const int rows = tile.queries * tile.group;
    for (int r = 0; r < rows; ++r) {
      out.max[r] = kMinusInf;
      out.sum[r] = 0;
    }
    const auto zero = V::broadcast(0.0F);
    for (int i = 0; i < rows * head_dim; i += V::kLanes) V::store(out.out + i, zero);

    const int visible_last = tile.visible_first + tile.queries - 1;
    const int segment_page = segment * kSegmentPages;
    const int seen_page = tile.hidden(0) / kPageTokens;
    const int first_page = seen_page > segment_page ? seen_page : segment_page;
    const int pages = (visible_last + kPageTokens - 1) / kPageTokens;
    const int end_page = pages < segment_page + kSegmentPages ? pages : segment_page + kSegmentPages;
    for (int p = first_page; p < end_page; ++p) {
      const int after = p + 1 < pages ? p + 1 : p;
      const NextPage next(tile.kv.page(after), tile.kv.codec(after), head_dim);
      const std::byte* page = tile.kv.page(p);
      if (p < tile.kv.coded) {
        const CompactLayout layout(head_dim);
        const auto* bytes = reinterpret_cast<const std::uint8_t*>(page);
        const Scales scales{bytes + layout.key_scales, bytes + layout.value_scales, 1};
        attend_page(tile, p, CompactView<V>(page, head_dim), &scales, next, scratch, out);
      } else if (tile.kv.ends == PageCodec::kBytes) {
        std::uint8_t of_keys[kPageTokens];
        std::uint8_t of_values[kPageTokens];
        Codec::scales_of_bytes(page, head_dim, of_keys, of_values);
        const Scales scales{of_keys, of_values, kStepOfScale};
        attend_page(tile, p, bytes_view(page, head_dim), &scales, next, scratch, out);
      } else {
        attend_page(tile, p, f16_view(page, head_dim), nullptr, next, scratch, out);
      }
    }
  }

  static DenseView<V, std::uint16_t> f16_view(const std::byte* page, int head_dim) {
    return {f16_page_keys(page), f16_page_values(page, head_dim), head_dim};
  }

  static DenseView<V, std::int8_t> bytes_view(const std::byte* page, int head_dim) {
    const auto* keys = reinterpret_cast<const std::int8_t*>(page);
    return {keys, keys + kPageTokens * head_dim, head_dim};
  }

  /// Adds page p to `out`. No scales: the view's numbers are the real ones.
  template <class View>
  static void attend_page(const AttentionTile& tile, int p, const View& page, const Scales* scales,
                          const NextPage& next, Scratch& scratch, Partial& out) {
    const int head_dim = tile.head_dim;
    const int start = p * kPageTokens;
    const int rows = tile.queries * tile.group;
    const int visible_last = tile.visible_first + tile.queries - 1;
    const int tokens = visible_last - start < kPageTokens ? visible_last - start : kPageTokens;
    // Rows whose query doesn't reach this page at all come first in the tile, those whose window begins after
    // it last: skip them.
    int row0 = 0;
    while (row0 < rows && tile.visible_first + row0 / tile.group <= start) ++row0;
    int row_end = rows;
    while (row_end > row0 && tile.hidden((row_end - 1) / tile.group) >= start + kPageTokens) --row_end;
    const int live = row_end - row0;
    float* probs = scratch.probs;
    const float* q = scratch.q + row0 * head_dim;
    const bool unpacked = live > kUnpackRows;
    const DenseView<V, float> plain{scratch.keys, scratch.values, head_dim};
    if (unpacked) {
      unpack_keys(page, next, scratch.keys);
      score_page(live, q, plain, NoPage(), probs);
    } else {
      score_page(live, q, page, next, probs);
    }
    if (scales != nullptr) scale_tokens(live, scales->keys, scales->unit, probs);
    if (start < tile.kv.biases.tokens) bias_tokens(live, tile.kv.biases, start, probs);
    for (int r = 0; r < live; ++r) {
      const int row = row0 + r;
      const int seen = tile.visible_first + row / tile.group - start;
      const int hidden = tile.hidden(row / tile.group) - start;
      softmax_row(hidden, seen < kPageTokens ? seen : kPageTokens, probs + r * kPageTokens, out.max[row],
                  out.sum[row], scratch.correction[r]);
    }
    if (scales != nullptr) scale_tokens(live, scales->values, scales->unit, probs);
    float* sums = out.out + row0 * head_dim;
    if (unpacked) {
      unpack_values(page, next, tokens, scratch.values);
      value_page(live, probs, scratch.correction, plain, NoPage(), tokens, sums);
    } else {
      value_page(live, probs, scratch.correction, page, next, tokens, sums);
    }
  }

  static void score_max(const AttentionTile& tile, const Partial& folded, int tokens, Scratch& scratch,
                        float* score) {
    const int rows = tile.queries * tile.group;
    const int visible_last = tile.visible_first + tile.queries - 1;
    const int end = tokens < visible_last ? tokens : visible_last;
    const DenseView<V, float> plain{scratch.keys, nullptr, tile.head_dim};
    for (int p = tile.hidden(0) / kPageTokens; p * kPageTokens < end; ++p) {
      unpack_keys(f16_view(tile.kv.page(p), tile.head_dim), NoPage(), scratch.keys);
      score_page(rows, scratch.q, plain, NoPage(), scratch.probs);
      float* best = score + p * kPageTokens;
      for (int r = 0; r < rows; ++r) {
        float* s = scratch.probs + r * kPageTokens;
        const int seen = tile.visible_first + r / tile.group - p * kPageTokens;
        for (int t = seen < 0 ? 0 : seen; t < kPageTokens; ++t) s[t] = kMinusInf;
        const int hidden = tile.hidden(r / tile.group) - p * kPageTokens;
        for (int t = 0; t < hidden && t < kPageTokens; ++t) s[t] = kMinusInf;
        const auto max = V::broadcast(folded.max[r]);
        const auto inverse = V::broadcast(1.0F / folded.sum[r]);
        for (int v = 0; v < kTokenVecs; ++v) {
          const auto share = V::mul(V::exp(V::sub(V::load(s + v * V::kLanes), max)), inverse);
          V::store(best + v * V::kLanes, V::max(V::load(best + v * V::kLanes), share));
        }
      }
    }
  }

  static void attend_summary(const AttentionTile& tile, const Scratch& scratch, Partial& into) {
    const std::uint16_t* key = tile.summary.vectors;
    const std::uint16_t* value = key + tile.head_dim;
    for (int r = 0; r < tile.queries * tile.group; ++r) {
      const float* q = scratch.q + r * tile.head_dim;
      auto dot = V::broadcast(0.0F);
      for (int d = 0; d < tile.head_dim; d += V::kLanes) dot = V::fma(V::load(q + d), V::load(key + d), dot);
      const float fitted = V::reduce_add(dot) + tile.summary.bias;
      const float score = fitted < tile.summary.score_max ? fitted : tile.summary.score_max;
      const float top = score > into.max[r] ? score : into.max[r];
      const float a = into.max[r] == kMinusInf ? 0.0F : V::exp_scalar(into.max[r] - top);
      const float b = V::exp_scalar(score - top);
      into.sum[r] = into.sum[r] * a + b;
      into.max[r] = top;
      const auto va = V::broadcast(a);
      const auto vb = V::broadcast(b);
      float* out = into.out + r * tile.head_dim;
      for (int d = 0; d < tile.head_dim; d += V::kLanes)
        V::store(out + d, V::fma(V::load(value + d), vb, V::mul(V::load(out + d), va)));
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
      if (tile.kv.rotated()) Codec::unrotate(to, tile.head_dim);
    }
  }

  static void store_f16(const float* k, const float* v, int head_dim, int slot, std::byte* page) {
    std::uint16_t* keys = f16_page_keys(page);
    for (int d = 0; d < head_dim; ++d) keys[d * kPageTokens + slot] = V::to_f16(k[d]);
    std::uint16_t* values = f16_page_values(page, head_dim) + slot * head_dim;
    for (int d = 0; d < head_dim; ++d) values[d] = V::to_f16(v[d]);
  }

  static void load_f16(const std::byte* page, int head_dim, int slot, float* k, float* v) {
    const std::uint16_t* keys = f16_page_keys(page);
    for (int d = 0; d < head_dim; ++d) k[d] = V::from_f16(keys[d * kPageTokens + slot]);
    const std::uint16_t* values = f16_page_values(page, head_dim) + slot * head_dim;
    for (int d = 0; d < head_dim; ++d) v[d] = V::from_f16(values[d]);
  }

  static constexpr AttentionKernels table(const char* name) {
    return {
        name,      load_queries, attend_segment,     attend_summary,    merge,        finish,       score_max,
        store_f16, load_f16,     Codec::store_bytes, Codec::load_bytes, Codec::store, Codec::rotate};
  }
};

}  // namespace
}  // namespace pmt::kernels
