#include "text/words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::text {
namespace {

using testing::ElementsAre;

std::vector<std::string> folded(std::string_view text) {
  std::vector<std::string> out;
  for (const Word& word : words_of(text)) out.push_back(word.folded);
  return out;
}

TEST(Words, FoldCaseAccentsAndPossessives) {
  EXPECT_THAT(folded("Where is Çandarlı İbrahim's café?"),
              ElementsAre("where", "is", "candarli", "ibrahim", "cafe"));
  EXPECT_THAT(folded("Hsiao Yun-Hwa, O'Neill; 3.14 at 10:30."),
              ElementsAre("hsiao", "yun-hwa", "oneill", "3.14", "at", "10:30"));
  EXPECT_EQ(folded_text("What is  Zorvane\u2019s line?"), "what is zorvane's line");
  EXPECT_EQ(folded_text("WHAT IS ZORVANE'S LINE"), "what is zorvane's line");
}

TEST(Words, KnowTheirPlace) {
  const auto words = words_of("Ask Zorvane. Then go, Bob");
  ASSERT_EQ(words.size(), 5U);
  EXPECT_TRUE(words[0].first && words[1].ends_run && words[1].capital && !words[1].first);
  EXPECT_TRUE(words[2].first && words[3].ends_run && words[4].ends_run);
}

TEST(Words, SurviveAnyBytes) {
  for (const std::string text : {"\xC3", "\xE2\x80", "a\xF0\x9F", "'", "''s", "-", "日本語", "\x80\x80"})
    words_of(text);
}

TEST(Words, OneLetterApart) {
  EXPECT_TRUE(one_letter_apart("zorvane", "zorvene"));   // changed
  EXPECT_TRUE(one_letter_apart("zorvane", "zorvne"));    // left out
  EXPECT_TRUE(one_letter_apart("zorvane", "zorrvane"));  // put in
  EXPECT_TRUE(one_letter_apart("zorvane", "zrovane"));   // swapped
  EXPECT_FALSE(one_letter_apart("zorvane", "zirvene"));
  EXPECT_FALSE(one_letter_apart("item1234", "item1235"));
}

TEST(Words, PartsOfAQuestion) {
  std::vector<std::string> out;
  for (const Word& word : words_of("Two-factor user_name, __init__ 1,500 or 1,5?", {.parts = true}))
    out.push_back(word.folded);
  EXPECT_THAT(out, ElementsAre("two", "factor", "user_name", "__init__", "1,500", "or", "1", "5"));
}

}  // namespace
}  // namespace pmt::text
