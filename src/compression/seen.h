// What the queries that a compression is fitted to see of some tokens (note 0018).
// Thread-safety: a Scratch belongs to one thread; otherwise pure functions.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/attention.h"
#include "kv_cache/reference_queries.h"

namespace pmt::compression {

/// A table's queries, those of its head's group: [n, head_dim], scaled, the last tokens first. Of many tokens
/// every so many, so that n stays near `rows_max`.
std::vector<float> rows_for(const kv_cache::ReferenceQueries& queries, std::size_t table, int kv_heads,
                            int rows_max);

/// What some tokens are to each row: the logarithm of their exponentials' sum, and their mean value.
struct Seen {
  std::vector<float> log_sum;  // [rows]
  std::vector<float> mean;     // [rows, head_dim]
};

/// All of `rows` [n, head_dim], scaled, see all of the `tokens`, as the heads of one query's group do.
Seen see(const kernels::HeadPages& pages, int tokens, const std::vector<float>& rows, int head_dim,
         const kernels::AttentionKernels& kernels, kernels::Scratch& scratch);

}  // namespace pmt::compression
