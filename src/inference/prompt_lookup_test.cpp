#include "inference/prompt_lookup.h"

#include <vector>

#include <gtest/gtest.h>

namespace pmt::inference {
namespace {

using Tokens = std::vector<std::int32_t>;

TEST(PromptLookup, ProposesWhatFollowedTheLongestMatch) {
  PromptLookup lookup;
  // "1 2 3 4" occurs once, "2 3 4" twice: the longer match wins over the later one.
  const Tokens text = {1, 2, 3, 4, 50, 51, 9, 2, 3, 4, 60, 61, 7, 1, 2, 3, 4};
  EXPECT_EQ(lookup.propose(text, 8), (Tokens{50, 51}));
}

TEST(PromptLookup, OfEqualMatchesTheLatestWins) {
  PromptLookup lookup;
  EXPECT_EQ(lookup.propose(Tokens{1, 2, 3, 50, 1, 2, 3, 60, 70, 1, 2, 3}, 1), (Tokens{60}));
}

TEST(PromptLookup, ChanceMatchesAreNotDrafted) {
  PromptLookup lookup;
  EXPECT_TRUE(lookup.propose(Tokens{1, 50, 60, 1}, 8).empty());
  EXPECT_TRUE(lookup.propose(Tokens{5}, 8).empty());
  EXPECT_TRUE(lookup.propose(Tokens{}, 8).empty());
  EXPECT_TRUE(lookup.propose(Tokens{1, 2, 3, 4, 1, 2, 3}, 0).empty()) << "no room for a draft";
}

TEST(PromptLookup, AMatchMayRunIntoItsOwnText) {
  PromptLookup lookup;
  EXPECT_EQ(lookup.propose(Tokens{7, 7, 7, 7, 7}, 8), (Tokens{7}));
}

TEST(PromptLookup, LengthFollowsWhatWasAccepted) {
  Tokens text;
  for (int i = 0; i < 40; ++i) text.push_back(i);
  for (int i = 0; i < 8; ++i) text.push_back(i);
  PromptLookup lookup;
  EXPECT_EQ(lookup.propose(text, 8).size(), 2U);
  lookup.observe(2, 2);
  EXPECT_EQ(lookup.propose(text, 8).size(), 4U);
  lookup.observe(4, 4);
  EXPECT_EQ(lookup.propose(text, 8).size(), 8U);
  lookup.observe(8, 8);
  EXPECT_EQ(lookup.propose(text, 8).size(), 8U);
  EXPECT_EQ(lookup.propose(text, 3).size(), 3U);
  lookup.observe(8, 3);
  EXPECT_EQ(lookup.propose(text, 8).size(), 4U);
}

TEST(PromptLookup, MissesPauseItForLongerEachTime) {
  Tokens text = {1, 2, 3, 4, 1, 2, 3};
  PromptLookup lookup;
  std::vector<int> pauses;
  for (int round = 0; round < 4; ++round) {
    while (!lookup.propose(text, 8).empty()) lookup.observe(1, 0);
    int pause = 0;
    for (; lookup.propose(text, 8).empty(); ++pause) lookup.observe(0, 0);
    pauses.push_back(pause);
  }
  EXPECT_EQ(pauses, (std::vector<int>{8, 16, 32, 64}));
  lookup.observe(1, 1);
  EXPECT_FALSE(lookup.propose(text, 8).empty());
}

TEST(PromptLookupTest, SelfTestPasses) {
  EXPECT_EQ(prompt_lookup_self_test(), std::nullopt);
}

}  // namespace
}  // namespace pmt::inference
