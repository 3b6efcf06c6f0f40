// What a compressed prompt will consist of, decided before a byte is read: the tokens that each table keeps, the
// pages' codecs, and how the evicted tokens are made up for (notes 0005, 0018, 0022).
// Pure. Thread-safety: any thread. Cost: one sort of each table's scores.
#pragma once

#include <optional>
#include <vector>

#include "compression/eviction.h"
#include "compression/question_place.h"
#include "kernels/page_layout.h"
#include "kv_cache/attention_plan.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::compression {

/// What stands for the evicted tokens: nothing, a summary of each table's, or a bias of each kept token.
enum class Compensation { kNone, kSummary, kMatch };

struct Plan {
  std::vector<KeptTokens> kept;                        // [layers * kv_heads]
  kernels::PageCodec tail = kernels::PageCodec::kF16;  // of the pages of kept[t].exact and of later tokens
  Compensation compensation = Compensation::kNone;
  float summary_share = 1;  // of the evicted tokens' softmax share, given to the summary
};

struct PlanRequest {
  double ratio = 1;  // f16 bytes over bytes kept
  int tokens = 0;    // of the prompt
  /// Whose reader the scores are of; none: query-agnostic.
  std::optional<QuestionPlace> question = {};
};

/// `scores`: of all of the prompt's tokens, in each table.
Plan plan(const kv_cache::ScoreBuffer& scores, const kv_cache::KvShape& shape, const PlanRequest& request);

}  // namespace pmt::compression
