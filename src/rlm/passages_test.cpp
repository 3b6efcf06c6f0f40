#include "rlm/passages.h"

#include <gtest/gtest.h>

namespace pmt::rlm {
namespace {

TEST(Passages, CoverTheTextOnceAndInOrder) {
  std::string text;
  for (int i = 0; i < 500; ++i)
    text += "Sentence " + std::to_string(i) + " of the t\u00e9xt. " + (i % 9 == 0 ? "\n\n" : "");
  text += std::string(5'000, 'y');
  for (int i = 0; i < 2'000; ++i) text += "\u00e9";
  const Passages passages(text, 300);
  std::size_t at = 0;
  for (const Found& p : passages.all()) {
    EXPECT_EQ(p.begin, at);
    EXPECT_LE(p.end - p.begin, 305U);
    EXPECT_NE(static_cast<unsigned char>(text[p.begin]) & 0xC0U, 0x80U) << "inside a character";
    at = p.end;
  }
  EXPECT_EQ(at, text.size());
}

TEST(Passages, RareWordsWinOverFrequentOnes) {
  std::string text;
  for (int i = 0; i < 200; ++i)
    text += "The keeper of the lighthouse slept again that night, " + std::to_string(i) + ".\n\n";
  const std::size_t needle = text.size();
  text += "The password of the keeper is heron.\n\n";
  for (int i = 0; i < 200; ++i)
    text += "The keeper of the lighthouse woke again, " + std::to_string(i) + ".\n\n";
  const Passages passages(text, 400);
  const auto found = passages.search("What is the keeper's password?", 3);
  ASSERT_FALSE(found.empty());
  EXPECT_LE(found[0].begin, needle);
  EXPECT_GT(found[0].end, needle);
  EXPECT_NE(passages.text_of(found[0]).find("heron"), std::string::npos);
}

TEST(Passages, NothingMatchesNothing) {
  const std::string text = "alpha beta gamma";
  const Passages passages(text);
  EXPECT_TRUE(passages.search("what is the of", 5).empty());
  EXPECT_TRUE(passages.search("delta", 5).empty());
  EXPECT_EQ(passages.search("BETAS", 5).size(), 1U) << "case and plural don't matter";
  const std::string empty;
  EXPECT_EQ(Passages(empty).size(), 0U);
}

}  // namespace
}  // namespace pmt::rlm
