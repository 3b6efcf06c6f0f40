// How many pages of the pool requests may need, before any of them is allocated: what admission counts with.
// Counts are of large pages, rounded up. Pure functions. Thread-safety: any thread.
#pragma once

#include <cstddef>

#include "kernels/page_layout.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::kv_cache {

/// An upper bound on the pages that an exact sequence of `tokens` holds when drop_unseen() follows every step of
/// at most `step_tokens`.
std::size_t exact_pages_at_most(const KvShape& shape, int tokens, int step_tokens);

/// The same of one local table.
std::size_t local_pages_at_most(const KvShape& shape, int tokens, int step_tokens);

/// One request that runs alone.
struct RequestSize {
  int prompt_tokens = 0;
  int new_tokens = 0;                                  // of each choice
  int choices = 1;                                     // which share the prompt
  double ratio = 1;                                    // f16 bytes over bytes kept of the prompt; 1: exact
  kernels::PageCodec tail = kernels::PageCodec::kF16;  // of a compressed sequence's tail pages
  int uncoded_tokens = 0;  // of the new tokens that a tail holds, the others at the ratio; 0: it holds all
  int step_tokens = 512;   // read in one step at most
};

/// The most pages that it takes at any time. Of a compressed one: exact while it is read; then its share, of
/// which a choice takes a few pages more than its tokens fill.
std::size_t pages_at_most(const KvShape& shape, const RequestSize& request);

/// How many new tokens each of the choices could have, given `pages_max`: at least 1, at most twice `tokens_max`. The
/// request's own new_tokens don't count.
int new_tokens_that_fit(const KvShape& shape, RequestSize request, std::size_t pages_max, int tokens_max);

}  // namespace pmt::kv_cache
