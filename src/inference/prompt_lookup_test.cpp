#include "inference/prompt_lookup.h"

#include <vector>

#include <gtest/gtest.h>

namespace pmt::inference {
namespace {

using Tokens = std::vector<std::int32_t>;

/// Each draft adds `row`.
StepCosts costs_of(double row) {
  StepCosts costs{};
  for (std::size_t n = 0; n < costs.size(); ++n) costs[n] = 1 + row * static_cast<double>(n);
  return costs;
}
const StepCosts kFree = costs_of(0), kUsual = costs_of(0.3), kDear = costs_of(0.62);

/// A text of 40 different tokens, then `match` of them again; 20 more could follow.
Tokens repeating(int match) {
  Tokens text;
  for (int i = 0; i < 40; ++i) text.push_back(i);
  for (int i = 20 - match; i < 20; ++i) text.push_back(i);
  return text;
}

TEST(PromptLookup, ProposesWhatFollowedTheLongestMatch) {
  PromptLookup lookup;
  // "1 2 3 4" occurs once, "2 3 4" twice: the longer match wins over the later one.
  const Tokens text = {1, 2, 3, 4, 50, 51, 9, 2, 3, 4, 60, 61, 7, 1, 2, 3, 4};
  EXPECT_EQ(lookup.propose(text, 2, kFree), (Tokens{50, 51}));
}

TEST(PromptLookup, OfEqualMatchesTheLatestWins) {
  PromptLookup lookup;
  EXPECT_EQ(lookup.propose(Tokens{1, 2, 3, 50, 1, 2, 3, 60, 70, 1, 2, 3}, 1, kFree), (Tokens{60}));
}

TEST(PromptLookup, ChanceMatchesAreNotDrafted) {
  PromptLookup lookup;
  EXPECT_TRUE(lookup.propose(Tokens{1, 50, 60, 1}, 8, kFree).empty());
  EXPECT_TRUE(lookup.propose(Tokens{5}, 8, kFree).empty());
  EXPECT_TRUE(lookup.propose(Tokens{}, 8, kFree).empty());
  EXPECT_TRUE(lookup.propose(Tokens{1, 2, 3, 4, 1, 2, 3}, 0, kFree).empty()) << "no room for a draft";
}

TEST(PromptLookup, AMatchMayRunIntoItsOwnText) {
  PromptLookup lookup;
  EXPECT_EQ(lookup.propose(Tokens{7, 7, 7, 7, 7}, 8, kFree), (Tokens{7}));
}

TEST(PromptLookup, DraftsAsManyAsPay) {
  const auto drafts = [](int match, const StepCosts& costs) {
    return PromptLookup().propose(repeating(match), kDraftsMax, costs).size();
  };
  EXPECT_EQ(drafts(3, kFree), 8U);
  // By hand, for a chance of a half and .3: (1 + .5) / 1.3 = 1.154, (1 + .5 + .25) / 1.6 = 1.094.
  EXPECT_EQ(drafts(3, kUsual), 1U);
  EXPECT_EQ(drafts(3, kDear), 0U);
  // For .9 and .62: 1.173, 1.210, 1.202.
  EXPECT_EQ(drafts(8, kDear), 2U);
  EXPECT_EQ(drafts(12, kUsual), 5U) << "2.07, 2.13, 2.18, 2.199, 2.23 ... of .9 and .3";
  EXPECT_LT(drafts(6, kUsual), drafts(8, kUsual));
  EXPECT_EQ(drafts(8, costs_of(1)), 0U);
  EXPECT_EQ(drafts(8, {1, 1.92, 2.6, 2.62, 3.5, 3.51, 4.3, 4.86, 5.4}), 5U)
      << "measured with AVX2: an odd draft more is nearly free";
}

TEST(PromptLookup, ItsOwnRecordDecides) {
  const Tokens text = repeating(3);
  PromptLookup lookup;
  for (int i = 0; i < 20; ++i) {
    const auto drafted = static_cast<int>(lookup.propose(text, kDraftsMax, kUsual).size());
    ASSERT_GT(drafted, 0);
    lookup.observe(drafted, drafted);
  }
  EXPECT_GE(lookup.propose(text, kDraftsMax, kUsual).size(), 5U) << "all were right";
  while (!lookup.propose(text, kDraftsMax, kUsual).empty()) lookup.observe(1, 0);
  EXPECT_GT(lookup.propose(repeating(8), kDraftsMax, kUsual).size(), 2U) << "long matches have their own";
}

TEST(PromptLookup, WhatIsNeverRightCostsLittleAndIsTriedAgain) {
  const Tokens text = repeating(3);
  PromptLookup lookup;
  int wasted = 0;
  for (int step = 0; step < 1000; ++step) {
    const auto drafted = static_cast<int>(lookup.propose(text, kDraftsMax, kUsual).size());
    wasted += drafted;
    if (drafted > 0) lookup.observe(drafted, 0);
  }
  EXPECT_LT(wasted * 0.3, 0.03 * 1000);
  EXPECT_GT(wasted, 10);
}

TEST(StepClock, MeasuresWhatDraftsCost) {
  StepClock clock;
  const StepCosts before = clock.costs();
  clock.observe(8, 1);
  EXPECT_EQ(clock.costs(), before) << "nothing to compare with yet";
  clock.observe(0, 0.010);
  clock.observe(3, 0.026);
  EXPECT_NEAR(clock.costs()[3], 2.6, 0.01) << "the first one replaces the guess";
  EXPECT_NEAR(clock.costs()[4], before[4], 0.01);
  clock.observe(0, 5);  // the process was stopped
  clock.observe(3, 5);
  EXPECT_LT(clock.costs()[3], 3);
  for (int i = 0; i < 100; ++i) {
    clock.observe(0, 0.010);
    clock.observe(3, 0.026);
  }
  EXPECT_NEAR(clock.costs()[3], 2.6, 0.02);
  for (int i = 0; i < 10'000; ++i) clock.observe(0, 0.010);
  EXPECT_NEAR(clock.costs()[3], before[3], 0.02) << "what isn't tried fades";
}

TEST(PromptLookupTest, SelfTestPasses) {
  EXPECT_EQ(prompt_lookup_self_test(), std::nullopt);
}

}  // namespace
}  // namespace pmt::inference
