// Which tokens each (layer, KV head) keeps under a budget of bytes for the whole sequence (note 0005).
//
// Every table's tokens are ranked by score and cut into pages' worth; the pages of all tables then compete
// for the budget, so a head that spreads its attention gets many pages and one that looks at the sink gets
// one. A table keeps whole pages' worth of tokens: nothing of the budget is lost in half-filled pages.
//
// Pure functions. Cost: one sort of each table's scores.
// Source: global allocation and page costs as in KV-Compress (arXiv 2410.00161); the scores are not its own.
#pragma once

#include <cstdint>
#include <vector>

#include "kv_cache/attention_plan.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::kv_cache {

struct EvictionOptions {
  double ratio = 8;          // f16 bytes of the sequence over bytes kept
  int protect_first = 4;     // attention sinks
  int protect_last = 8;      // the end of the prompt: the template's turn to answer
  double floor_share = 0.1;  // of the mean number of pages: what every table gets at least
};

/// The pages that lose least at a ratio: under 4, keeping fewer tokens exact costs less than coding all.
constexpr kernels::PageCodec codec_for(double ratio) {
  return ratio < 4 ? kernels::PageCodec::kF16 : kernels::PageCodec::kCompact;
}

/// For pages of codec_for(options.ratio): the tokens that each table keeps, ascending: what
/// SequenceKv::compress takes. Local layers don't compete: they keep the end of their window, for at most
/// half the budget, whatever its scores. Every table keeps a page's worth at least, so for short sequences
/// and high ratios the budget may be exceeded.
std::vector<std::vector<std::int32_t>> choose_kept(const ScoreBuffer& scores, const KvShape& shape,
                                                   int tokens, const EvictionOptions& options);

}  // namespace pmt::kv_cache
