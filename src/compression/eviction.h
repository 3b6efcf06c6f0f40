// Which tokens each (layer, KV head) keeps under a budget of bytes for the whole sequence (note 0005).
//
// From a ratio of 4 on, every table ends in a page of bytes: it holds the sinks, the prompt's end, the
// table's own best tokens, and later the first of the answer (notes 0009, 0017). The other tokens of all
// tables, ranked by score and cut into compact pages' worth, compete for the budget: a head that spreads its
// attention gets many pages, one that looks at the sink gets none. Below 4 there are only exact pages, which
// compete likewise.
//
// Pure functions. Cost: one sort of each table's scores.
// Source: global allocation and page costs as in KV-Compress (arXiv 2410.00161); the scores are not its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/page_layout.h"
#include "kv_cache/attention_plan.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::compression {

/// What one table keeps of a sequence: tokens, ascending in each part, none twice, at least one in `exact`.
struct KeptTokens {
  std::vector<std::int32_t> coded;  // in compact pages: a multiple of kPageTokens
  std::vector<std::int32_t> exact;  // in tail pages
  std::size_t size() const { return coded.size() + exact.size(); }
};

/// The end of a prompt: the template's turn to answer.
inline constexpr int kPromptEndTokens = 8;

struct EvictionOptions {
  double ratio = 8;       // f16 bytes of the sequence over bytes kept
  int protect_first = 4;  // attention sinks
  int protect_last = kPromptEndTokens;
  int question_tokens = 0;   // before those, when the prompt ends in a question
  int best_exact = 8;        // of each table, beside those, when the others are coded
  double floor_share = 0.1;  // of the mean number of pages: what a table gets at least when none is coded
  double coded_floor_share = 0.2;  // the same of coded pages, when those are coded
  double coded_mean_min = 1;       // coded pages of a table on average, whatever the ratio
};

/// Under 4, keeping fewer tokens exact costs less than coding most.
constexpr bool is_coded(double ratio) {
  return ratio >= 4;
}
/// What the pages hold that new tokens go to.
constexpr kernels::PageCodec tail_of(double ratio) {
  return is_coded(ratio) ? kernels::PageCodec::kBytes : kernels::PageCodec::kF16;
}

/// The tokens that each table keeps, in pages of tail_of the ratio. Local tables keep the last tokens: the coded ones
/// before the exact, as many in every such table, at most the window. Local layers
/// don't compete: they keep the end of their window, for at most half the budget, whatever its scores. The
/// budget pays for the sinks, the prompt's end and the coded pages. What else the last page holds comes on
/// top, and so do pages for the question, as if it had been asked after compressing; and no budget buys less
/// than a coded page a table. So short sequences exceed the budget at high ratios.
std::vector<KeptTokens> choose_kept(const kv_cache::ScoreBuffer& scores, const kv_cache::KvShape& shape,
                                    int tokens, const EvictionOptions& options);

/// Which of `tokens` successive tokens each table keeps in compact pages: whole pages' worth, ascending, none of local
/// tables. `scores` as above, of these tokens alone; empty: all are kept, as they are up to a ratio of 4.
std::vector<std::vector<std::int32_t>> choose_coded(const kv_cache::ScoreBuffer& scores,
                                                    const kv_cache::KvShape& shape, int tokens, double ratio);

}  // namespace pmt::compression
