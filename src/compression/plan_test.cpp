#include "compression/plan.h"

#include <gtest/gtest.h>

namespace pmt::compression {
namespace {

constexpr kv_cache::KvShape kShape{2, 2, 64};
constexpr int kTokens = 640;

Plan planned(double ratio, std::optional<QuestionPlace> question = {}) {
  kv_cache::ScoreBuffer scores{{}, kv_cache::ScoreBuffer::stride_for(kTokens)};
  scores.values.assign(kShape.tables() * scores.stride, 0.5F);
  return plan(scores, kShape, {.ratio = ratio, .tokens = kTokens, .question = question});
}

TEST(Plan, FewTokensAreMatchedAndManySummedUp) {
  EXPECT_EQ(planned(2).compensation, Compensation::kSummary);
  EXPECT_EQ(planned(8).compensation, Compensation::kSummary);
  EXPECT_EQ(planned(16).compensation, Compensation::kMatch);
  EXPECT_EQ(planned(64, question_from(600, kTokens)).compensation, Compensation::kMatch);
}

TEST(Plan, TheQuestionsOwnQueriesGiveTheWholeShare) {
  EXPECT_EQ(planned(8, question_from(600, kTokens)).summary_share, 1);
  EXPECT_EQ(planned(8).summary_share, 0.5F);
}

TEST(Plan, TailPagesAreExactWhereNoTokenIsCoded) {
  const Plan at_2 = planned(2), at_8 = planned(8);
  EXPECT_EQ(at_2.tail, kernels::PageCodec::kF16);
  EXPECT_TRUE(at_2.kept[0].coded.empty());
  EXPECT_EQ(at_8.tail, kernels::PageCodec::kBytes);
  EXPECT_FALSE(at_8.kept[0].coded.empty());
}

TEST(Plan, TheQuestionComesOnTop) {
  std::size_t without = 0, with = 0;
  for (const KeptTokens& kept : planned(16).kept) without += kept.size();
  for (const KeptTokens& kept : planned(16, question_from(kTokens - 72, kTokens)).kept) with += kept.size();
  EXPECT_EQ(with, without + 64 * kShape.tables());
}

}  // namespace
}  // namespace pmt::compression
