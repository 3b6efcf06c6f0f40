#include "llm/usage.h"

#include <gtest/gtest.h>

namespace pmt::llm {
namespace {

TEST(Usage, APromptsThreeKindsOfTokensAreAllOfIt) {
  EXPECT_EQ(plain_prompt_tokens({.prompt_tokens = 9}), 9);
  EXPECT_EQ(plain_prompt_tokens({.prompt_tokens = 9, .cached_prompt_tokens = 5, .cache_written_tokens = 3}),
            1);
  EXPECT_EQ(plain_prompt_tokens({.prompt_tokens = 2, .cached_prompt_tokens = 5}), 0) << "of foreign figures";
}

TEST(Usage, ASumSaysNothingOfACacheThatNobodySpokeOf) {
  Usage sum;
  add(sum, {.prompt_tokens = 10, .completion_tokens = 4, .reasoning_tokens = 3});
  EXPECT_EQ(sum.cached_prompt_tokens, std::nullopt);
  add(sum, {.prompt_tokens = 20, .cached_prompt_tokens = 0, .cache_written_tokens = 7});
  EXPECT_EQ(sum.cached_prompt_tokens, 0);
  add(sum, {.prompt_tokens = 30, .cached_prompt_tokens = 25, .cache_written_tokens = 5});
  EXPECT_EQ(sum.prompt_tokens, 60);
  EXPECT_EQ(sum.completion_tokens, 4);
  EXPECT_EQ(sum.cached_prompt_tokens, 25);
  EXPECT_EQ(sum.cache_written_tokens, 12);
  EXPECT_EQ(sum.reasoning_tokens, 3);
  EXPECT_EQ(plain_prompt_tokens(sum), 23);
}

}  // namespace
}  // namespace pmt::llm
