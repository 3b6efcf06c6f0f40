#include "text/plain_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/stop_words.h"

namespace pmt::text {
namespace {

using testing::ElementsAre;

TEST(PlainWords, AreLettersAndDigitsInLowerCase) {
  EXPECT_THAT(plain_words("Don't: C++ in 2 caf\u00e9s!"),
              ElementsAre("don", "t", "c", "in", "2", "caf\u00e9s"));
  EXPECT_THAT(plain_words("C++ + c", {.inside = "+"}), ElementsAre("c++", "c"));
  EXPECT_THAT(plain_words("Cities and glass has", {.singular = true}),
              ElementsAre("citie", "and", "glass", "has"));
  EXPECT_EQ(plain_text("A  b."), " a b ");
  EXPECT_EQ(plain_text("."), " ");
}

TEST(StopWords, CountByTheirUse) {
  EXPECT_TRUE(is_stop_word("the", StopUse::kNames) && is_stop_word("the", StopUse::kMeaning) &&
              is_stop_word("the", StopUse::kSearch));
  EXPECT_TRUE(is_stop_word("yesterday", StopUse::kNames) == is_stop_word("yesterday", StopUse::kSearch));
  EXPECT_TRUE(is_stop_word("document", StopUse::kSearch));
  EXPECT_FALSE(is_stop_word("document", StopUse::kMeaning));
  EXPECT_TRUE(is_stop_word("doe", StopUse::kSearch)) << "does, without its s";
  EXPECT_FALSE(is_stop_word("doe", StopUse::kNames));
  EXPECT_FALSE(is_stop_word("wine", StopUse::kNames));
  EXPECT_TRUE(is_article("our") && is_title("prof") && is_name_connector("van"));
}

}  // namespace
}  // namespace pmt::text
