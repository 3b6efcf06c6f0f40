// Fits what a compressed table keeps of the tokens that it evicts: one key, one value and a bias (note 0018).
//
// Evicted tokens are missed in two ways: their values, and their share of the softmax, which goes to those
// that stay. Over many tokens that a query looks at a little both change slowly with the query. So the
// logarithm of the evicted tokens' share is fitted as a linear function of the query, which is a key and a
// bias, and their mean value by a constant; both by least squares over the queries of the prompt's last
// tokens, each weighted by the share.
//
// Thread-safety: a SummaryFit belongs to one thread. Source: attention matching (arXiv 2602.16284) refits what is
// kept; we add one pair for what isn't.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "compression/seen.h"
#include "kernels/attention.h"
#include "kv_cache/side_tables.h"

namespace pmt::compression {

/// Fits one table after another: begin(), add() of every token in order, finish().
class SummaryFit {
 public:
  /// `rotated`: the summary is stored in the compact codec's rotation.
  SummaryFit(const kernels::AttentionKernels& kernels, int head_dim, bool rotated);

  void begin();
  void add(const float* key, const float* value, bool kept);
  /// `rows` [n, head_dim], scaled: the table's reference queries. `share`: of the evicted tokens' softmax share,
  /// given to the summary.
  void finish(const std::vector<float>& rows, float share, std::size_t table, kv_cache::Summaries& to);

 private:
  struct Tokens {
    std::vector<std::byte> pages;  // f16
    int count = 0;
  };
  /// The summary's key and value, and the bias.
  struct Fitted {
    std::vector<float> vectors;  // [2, head_dim]
    float bias = 0;
  };
  void append(Tokens& to, const float* key, const float* value);
  Seen see_tokens(const Tokens& tokens, const std::vector<float>& rows);
  Fitted regress(const std::vector<float>& rows, const Seen& evicted, const Seen& kept) const;

  const kernels::AttentionKernels& kernels_;
  int head_dim_;
  bool rotated_;
  Tokens kept_, evicted_;
  std::vector<double> key_sum_;
  std::unique_ptr<kernels::Scratch> scratch_;
};

/// Queries of a head's group that a summary is fitted to.
inline constexpr int kSummaryRows = 2 * kernels::kRowsMax;

}  // namespace pmt::compression
