#include "response_cache/semantic/semantic_rule.h"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

namespace pmt::response_cache {
namespace {

PairFigures pair_at(double cosine, double shared) {
  return figures_of({.cosine = cosine,
                     .rival = 0.4,
                     .likeness = {.shared = shared > 0 ? static_cast<float>(shared) : 0,
                                  .substituted = 0,
                                  .contained = 0.5F,
                                  .named = 0}});
}

TEST(SemanticRule, TheBoundIsClopperAndPearsons) {
  const auto is_bound = [](double wrong, double count, double confidence, double bound, double precision) {
    const RuleBound all{.confidence = confidence, .share_of_error_max = 1};
    return within(wrong, count, bound + precision, all) && !within(wrong, count, bound - precision, all);
  };
  EXPECT_TRUE(is_bound(0, 229, 0.9, 0.01, 2e-4));
  // Published 97.5% bounds (two-sided 95%): 1 of 10 -> .4450, 5 of 100 -> .1128.
  EXPECT_TRUE(is_bound(1, 10, 0.975, 0.4450, 1e-4));
  EXPECT_TRUE(is_bound(5, 100, 0.975, 0.1128, 1e-4));
  EXPECT_FALSE(within(3, 3, 0.9));
  EXPECT_FALSE(within(0, 0, 0.9));
  EXPECT_TRUE(within(0, 322, 0.01)) << "as the header says";
  EXPECT_FALSE(within(0, 321, 0.01));
}

TEST(SemanticRule, ServesNothingDoubtfulBeforeItHasLearnt) {
  SemanticRule rule;
  EXPECT_FALSE(rule.judge(pair_at(0.75, 0.2), 0.01).serve());
  EXPECT_FALSE(rule.judge(pair_at(0.75, 0.2), 0.01).certified);
}

TEST(SemanticRule, AWrongLabelStopsWhatIsNoSurer) {
  SemanticRule rule;
  const PairFigures sure = pair_at(0.995, 1);
  ASSERT_TRUE(rule.judge(sure, 0.05).serve());
  rule.learn(sure, false);
  EXPECT_FALSE(rule.judge(sure, 0.05).serve());
}

/// The bounds are those of statistical tables (Clopper and Pearson 1934).
TEST(SemanticRule, TheIntervalOfAShareIsExact) {
  EXPECT_EQ(interval_of(0, 0).low, 0);
  EXPECT_EQ(interval_of(0, 0).high, 1);
  EXPECT_EQ(interval_of(0, 10).low, 0);
  EXPECT_NEAR(interval_of(0, 10).high, 0.3085, 1e-4);
  EXPECT_NEAR(interval_of(1, 20).low, 0.0013, 1e-4);
  EXPECT_NEAR(interval_of(1, 20).high, 0.2487, 1e-4);
  EXPECT_NEAR(interval_of(10, 10).low, 0.6915, 1e-4);
  EXPECT_EQ(interval_of(10, 10).high, 1);
}

TEST(SemanticRule, ALabelThatIsTakenBackCountsNoMore) {
  SemanticRule rule;
  const double before = rule.judge(pair_at(0.99, 0), 0.1).threshold;
  rule.learn(pair_at(0.99, 0), false);
  EXPECT_GT(rule.judge(pair_at(0.99, 0), 0.1).threshold, before);
  rule.forget(pair_at(0.99, 0), true);
  EXPECT_EQ(rule.labels(), 1U) << "nobody said that they agree";
  rule.forget(pair_at(0.99, 0), false);
  EXPECT_EQ(rule.labels(), 0U);
  EXPECT_EQ(rule.judge(pair_at(0.99, 0), 0.1).threshold, before);
}

/// Pairs whose chance to agree follows the cosine; the rule must serve, and serve within its bound.
TEST(SemanticRule, LearnsAThresholdThatHolds) {
  for (const double error_max : {0.02, 0.05}) {
    std::mt19937 random(3);
    std::uniform_real_distribution<double> uniform;
    SemanticRule rule;
    const auto draw = [&] { return 0.5 + 0.5 * uniform(random); };
    const auto agrees = [&](double cosine) {
      return uniform(random) < 1 / (1 + std::exp(-40 * (cosine - 0.75)));
    };
    for (int i = 0; i < 1500; ++i) {
      const double cosine = draw();
      rule.learn(pair_at(cosine, 0.5), agrees(cosine));
    }
    int served = 0, wrong = 0;
    for (int i = 0; i < 20'000; ++i) {
      const double cosine = draw();
      if (!rule.judge(pair_at(cosine, 0.5), error_max).serve()) continue;
      ++served;
      wrong += agrees(cosine) ? 0 : 1;
    }
    EXPECT_GT(served, 6000) << "of the 10,000 or so that are right";
    EXPECT_LE(wrong, error_max * served) << error_max;
  }
}

}  // namespace
}  // namespace pmt::response_cache
