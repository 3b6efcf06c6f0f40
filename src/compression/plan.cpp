#include "compression/plan.h"

namespace pmt::compression {
namespace {

/// A summary up to this ratio; past it, where few tokens are left, those are matched (note 0018).
constexpr double kSummaryRatioMax = 8;
/// Of the share where the reference queries are not the question's own.
constexpr float kShareOfOthers = 0.5F;

}  // namespace

Plan plan(const kv_cache::ScoreBuffer& scores, const kv_cache::KvShape& shape, const PlanRequest& request) {
  EvictionOptions options;
  options.ratio = request.ratio;
  options.question_tokens = request.question ? request.question->asked() : 0;
  return {.kept = choose_kept(scores, shape, request.tokens, options),
          .tail = tail_of(request.ratio),
          .compensation = request.ratio > kSummaryRatioMax ? Compensation::kMatch : Compensation::kSummary,
          .summary_share = request.question ? 1 : kShareOfOthers};
}

}  // namespace pmt::compression
