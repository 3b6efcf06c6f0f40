// What a compressed table keeps of the tokens that it evicts: one key, one value and a bias (note 0018).
//
// Evicted tokens are missed in two ways: their values, and their share of the softmax, which goes to those
// that stay. Over many tokens that a query looks at a little both change slowly with the query. So the
// logarithm of the evicted tokens' share is fitted as a linear function of the query, which is a key and a
// bias, and their mean value by a constant; both by least squares over the queries of the prompt's last
// tokens, each weighted by the share.
//
// Shapes: tables are [layers * kv_heads]. Thread-safety: a SummaryFit belongs to one thread; Summaries may be
// filled by several, a table each. Source: attention matching (arXiv 2602.16284) refits what is kept; we add
// one pair for what isn't.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "base/ids.h"
#include "kernels/attention.h"

namespace pmt::kv_cache {

using LayerId = base::Id<struct LayerTag>;
using KvHeadId = base::Id<struct KvHeadTag>;

/// Queries after RoPE of the tokens [first, first + tokens).
struct ReferenceQueries {
  int first = 0;
  int tokens = 0;
  int heads = 0;
  int head_dim = 0;
  float scale = 1;            // of a score
  std::vector<float> values;  // [layers, tokens, heads, head_dim]

  /// Where in `values` a query begins.
  std::size_t at(std::size_t layer, int position, int head) const {
    const auto row = (layer * static_cast<std::size_t>(tokens) + static_cast<std::size_t>(position - first)) *
                         static_cast<std::size_t>(heads) +
                     static_cast<std::size_t>(head);
    return row * static_cast<std::size_t>(head_dim);
  }
};

/// What compress() is to sum up, and for whom.
struct SummaryRequest {
  const ReferenceQueries* queries = nullptr;  // null: nothing is summed up
  float share = 1;                            // of the evicted tokens' softmax share, given to the summary
};

/// Past 8x the whole share flattens what few tokens are left: 1 up to 8x, 8 / ratio beyond. Half of it where
/// the queries are not the question's own (note 0018).
float summary_share(double ratio, bool by_question);

/// All tables' summaries.
class Summaries {
 public:
  Summaries(std::size_t tables, int head_dim)
      : width_(2 * static_cast<std::size_t>(head_dim)),
        vectors_(tables * width_),
        limits_(tables, {-std::numeric_limits<float>::infinity(), 0}) {}

  kernels::Summary of(std::size_t table) const {
    if (limits_[table].bias == -std::numeric_limits<float>::infinity()) return {};
    return {vectors_.data() + table * width_, limits_[table].bias, limits_[table].score_max};
  }
  std::uint16_t* vectors(std::size_t table) { return vectors_.data() + table * width_; }
  void set(std::size_t table, float bias, float score_max) { limits_[table] = {bias, score_max}; }
  std::int64_t bytes() const {
    return static_cast<std::int64_t>(vectors_.size() * sizeof(std::uint16_t) +
                                     limits_.size() * sizeof(Limits));
  }

 private:
  struct Limits {
    float bias, score_max;
  };
  std::size_t width_;
  std::vector<std::uint16_t> vectors_;  // f16 [tables, 2, head_dim]
  std::vector<Limits> limits_;          // [tables]; a bias of -inf: nothing evicted
};

/// Fits one table after another: begin(), add() of every token in order, finish().
class SummaryFit {
 public:
  /// `rotated`: the summary is stored in the compact codec's rotation.
  SummaryFit(const kernels::AttentionKernels& kernels, int head_dim, bool rotated);

  const kernels::AttentionKernels& kernels() const { return kernels_; }
  void begin();
  void add(const float* key, const float* value, bool kept);
  void finish(const SummaryRequest& request, std::size_t table, int kv_heads, Summaries& to);

 private:
  struct Tokens {
    std::vector<std::byte> pages;  // f16
    int count = 0;
  };
  /// What some tokens are to each query row: the logarithm of their exponentials' sum, and their mean value.
  struct Seen {
    std::vector<float> log_sum;  // [rows]
    std::vector<float> mean;     // [rows, head_dim]
  };

  void append(Tokens& to, const float* key, const float* value);
  void attend(const Tokens& tokens, const float* rows, int count, float scale, Seen& out);

  const kernels::AttentionKernels& kernels_;
  int head_dim_;
  bool rotated_;
  Tokens kept_, evicted_;
  std::vector<double> key_sum_;
  std::unique_ptr<kernels::Scratch> scratch_;
};

}  // namespace pmt::kv_cache
