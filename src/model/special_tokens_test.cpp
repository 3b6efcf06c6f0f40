#include "model/special_tokens.h"

#include <gtest/gtest.h>

namespace pmt::model {
namespace {

TEST(SpecialTokensTest, FindsTheLeftmostAndThereTheLongest) {
  const SpecialTokens specials(
      {{.id = 1, .text = "<a>"}, {.id = 2, .text = "<a><b>"}, {.id = 3, .text = "[x]"}});
  const std::string text = "<a [x]<a><b><a>";
  auto match = specials.find(text);
  ASSERT_TRUE(match);
  EXPECT_EQ(match->token->id, 3);
  EXPECT_EQ(match->begin, 3U);
  EXPECT_EQ(match->end, 6U);
  match = specials.find(text, match->end);
  ASSERT_TRUE(match);
  EXPECT_EQ(match->token->id, 2);
  match = specials.find(text, match->end);
  ASSERT_TRUE(match);
  EXPECT_EQ(match->token->id, 1);
  EXPECT_FALSE(specials.find(text, match->end));
}

TEST(SpecialTokensTest, NoneAndEmptyNamesNeverMatch) {
  EXPECT_FALSE(SpecialTokens({}).find("<a>"));
  EXPECT_FALSE(SpecialTokens({{.id = 1, .text = ""}}).find("<a>"));
  EXPECT_FALSE(SpecialTokens({{.id = 1, .text = "<a>"}}).find("<a"));
  EXPECT_FALSE(SpecialTokens({{.id = 1, .text = "<a>"}}).find("<a>", 17));
}

}  // namespace
}  // namespace pmt::model
