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

#include "kernels/attention.h"
#include "kv_cache/reference_queries.h"

namespace pmt::kv_cache {

/// For whom compress() makes up for what it evicts, and how.
struct SummaryRequest {
  const ReferenceQueries* queries = nullptr;  // null: nothing is made up for
  float share = 1;                            // of the evicted tokens' softmax share, given to the summary
  bool match = false;                         // no summary: the kept tokens are matched (attention_match.h)
};

/// A summary up to a ratio of 8, with half of the share where the queries are not the question's own; past
/// it, where few tokens are left, those are matched (note 0018).
SummaryRequest summary_request(const ReferenceQueries* queries, double ratio, bool by_question);

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
  void append(Tokens& to, const float* key, const float* value);
  Seen see_tokens(const Tokens& tokens, const std::vector<float>& rows);

  const kernels::AttentionKernels& kernels_;
  int head_dim_;
  bool rotated_;
  Tokens kept_, evicted_;
  std::vector<double> key_sum_;
  std::unique_ptr<kernels::Scratch> scratch_;
};

}  // namespace pmt::kv_cache
