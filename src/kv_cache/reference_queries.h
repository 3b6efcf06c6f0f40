// The queries that a compression is fitted to, and what they see of some tokens (note 0018).
// Thread-safety: a Scratch belongs to one thread; otherwise pure functions.
#pragma once

#include <cstddef>
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

/// A table's queries, those of its head's group: [n, head_dim], scaled, the last tokens first. Of many tokens
/// every so many, so that n stays near `rows_max`.
std::vector<float> rows_for(const ReferenceQueries& queries, std::size_t table, int kv_heads, int rows_max);

/// What some tokens are to each row: the logarithm of their exponentials' sum, and their mean value.
struct Seen {
  std::vector<float> log_sum;  // [rows]
  std::vector<float> mean;     // [rows, head_dim]
};

/// All of `rows` [n, head_dim], scaled, see all of the `tokens`, as the heads of one query's group do.
Seen see(const kernels::HeadPages& pages, int tokens, const std::vector<float>& rows, int head_dim,
         const kernels::AttentionKernels& kernels, kernels::Scratch& scratch);

}  // namespace pmt::kv_cache
