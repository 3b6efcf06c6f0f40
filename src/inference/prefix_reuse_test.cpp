#include "inference/prefix_reuse.h"

#include <string>

#include <gtest/gtest.h>

#include "inference/job_fixture.h"

namespace pmt::inference {
namespace {

class PrefixReuseTest : public JobFixture {
 protected:
  PrefixReuse made() { return {*pool_, options_, clock_, counters_}; }
  /// Begins `job`, as far as it can go on from a prefix. Returns how many tokens those are.
  std::int64_t begin(PrefixReuse& prefixes, Job& job) {
    EXPECT_TRUE(make_choices(job));
    prefixes.reuse(job);
    EXPECT_EQ(job.kv.prefix_tokens_reused, job.running[0].sequence().tokens());
    return job.kv.prefix_tokens_reused;
  }
  void read_and_remember(PrefixReuse& prefixes, Job& job) {
    begin(prefixes, job);
    read(job);
    prefixes.remember(job, job.running[0]);
  }
};

TEST_F(PrefixReuseTest, OneThatBeginsAlikeGoesOnFromThere) {
  PrefixReuse prefixes = made();
  const auto first = job("first", 200);
  read_and_remember(prefixes, *first);
  EXPECT_EQ(begin(prefixes, *job("longer", 300)), 200);
  EXPECT_EQ(begin(prefixes, *job("same", 200)), 199) << "the last token's logits choose the answer's first";
  EXPECT_EQ(begin(prefixes, *job("other", 200, 1)), 0);
  EXPECT_EQ(counters_.prefix_hits, 2U);
  EXPECT_EQ(counters_.prefix_tokens, 399U);
  EXPECT_EQ(counters_.prefix_queried, 900U);
}

TEST_F(PrefixReuseTest, AnotherScopeSharesNothing) {
  PrefixReuse prefixes = made();
  const auto first = job("first", 200);
  first->prefix_scope = "acme";
  read_and_remember(prefixes, *first);
  EXPECT_EQ(begin(prefixes, *job("nobody's", 200)), 0);
  const auto same = job("acme's", 200);
  same->prefix_scope = "acme";
  EXPECT_EQ(begin(prefixes, *same), 199);
}

TEST_F(PrefixReuseTest, APromptWhoseRowsAreWantedIsReadWhole) {
  PrefixReuse prefixes = made();
  const auto first = job("first", 200);
  read_and_remember(prefixes, *first);
  const auto scored = job("scored", 200);
  scored->echo = PromptEcho(*vocab_, scored->prompt, std::nullopt, 1);
  EXPECT_EQ(begin(prefixes, *scored), 0);
  EXPECT_EQ(counters_.prefix_queried, 200U) << "it was not looked for";
}

TEST_F(PrefixReuseTest, WhatAQuestionLookedForIsNobodyElses) {
  PrefixReuse prefixes = made();
  const auto first = job("first", 300);
  first->compression = compression::PromptCompression(
      {.mode = compression::Mode::kQueryAware, .ratio = 8, .prompt_tokens = 300});
  ASSERT_EQ(first->compression.mode(), compression::Mode::kQueryAware);
  read_and_remember(prefixes, *first);
  EXPECT_EQ(prefixes.index().entries(), 0U);
  EXPECT_FALSE(prefixes.will_keep(*first, first->running[0]));
}

TEST_F(PrefixReuseTest, AnExactPrefixWithoutScoresIsNoneForACompressedPrompt) {
  PrefixReuse prefixes = made();
  const auto first = job("first", 300);
  read_and_remember(prefixes, *first);
  EXPECT_TRUE(prefixes.will_keep(*first, first->running[0]));
  const auto compressed = job("compressed", 300);
  compressed->compression = compression::PromptCompression(
      {.mode = compression::Mode::kQueryAgnostic, .ratio = 8, .prompt_tokens = 300});
  ASSERT_TRUE(compressed->compression.active());
  EXPECT_EQ(begin(prefixes, *compressed), 0);
}

TEST_F(PrefixReuseTest, GivesUpTheOldestUntilThereIsRoom) {
  PrefixReuse prefixes = made();
  for (int text = 0; text < 3; ++text) {
    const auto each = job(std::to_string(text), 320, text);  // 40 pages each
    read_and_remember(prefixes, *each);
  }
  ASSERT_EQ(pool_->pages_free(), 8U);
  prefixes.give_up(40);
  EXPECT_EQ(prefixes.index().entries(), 2U);
  EXPECT_EQ(begin(prefixes, *job("oldest", 320, 0)), 0);
  EXPECT_EQ(begin(prefixes, *job("newest", 320, 2)), 319);
  prefixes.give_up(1000);
  EXPECT_EQ(prefixes.index().entries(), 0U) << "more than there is: all of them go";
}

TEST_F(PrefixReuseTest, OffItKeepsAndCountsNothing) {
  options_.prefix_bytes_max = 0;
  PrefixReuse prefixes = made();
  const auto first = job("first", 200);
  read_and_remember(prefixes, *first);
  EXPECT_FALSE(prefixes.will_keep(*first, first->running[0]));
  EXPECT_EQ(begin(prefixes, *job("same", 200)), 0);
  EXPECT_EQ(counters_.prefix_queried, 0U);
}

}  // namespace
}  // namespace pmt::inference
