// Makes the pages and side tables of a compact sequence out of an exact one, as a plan says (note 0022). Reads
// pages and changes nothing: SequenceKv::adopt is what changes the sequence.
// Thread-safety: the thread that owns the sequence; the helpers that it starts end before it returns. The same
// bytes with any number of threads. Cost: 70 us a compact token of 90 tables of 64 dimensions, on two threads;
// the compensation reads every page once for each 48 query rows.
#pragma once

#include "base/result.h"
#include "compression/plan.h"
#include "kernels/attention.h"
#include "kv_cache/page_pool.h"
#include "kv_cache/reference_queries.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::compression {

struct EncodeOptions {
  const kernels::AttentionKernels* kernels = &kernels::best_attention_kernels();
  int threads = 1;
  /// Whom the compensation is fitted to; null: none is made.
  const kv_cache::ReferenceQueries* queries = nullptr;
};

/// Requires: `exact` is exact, every token that the plan keeps has its page in `pool`, and of a local layer the
/// plan keeps the last tokens, without gaps.
kv_cache::CompactTables encode(const kv_cache::SequenceKv& exact, const kv_cache::PagePool& pool,
                               const Plan& plan, const EncodeOptions& options);

}  // namespace pmt::compression
