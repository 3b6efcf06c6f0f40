#include "text/passages.h"

#include <algorithm>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::text {
namespace {

using testing::ElementsAre;

std::vector<std::string> cut(const std::string& text, const PassageRule& rule = {}) {
  std::vector<std::string> out;
  for (const Passage& passage : passages_of(text, rule))
    out.push_back(text.substr(passage.begin, passage.end - passage.begin));
  return out;
}

TEST(Passages, AreWholeParagraphs) {
  const std::string first(400, 'a'), second(400, 'b'), third(400, 'c');
  EXPECT_THAT(cut("  " + first + "  \n\n\n" + second + "\n \n" + third + "\n\n"),
              ElementsAre(first + "  \n\n\n" + second, third))
      << "two short ones go together, a third would be too much";
  EXPECT_THAT(cut(""), ElementsAre());
  EXPECT_THAT(cut(" \n\t\r\n"), ElementsAre());
}

TEST(Passages, BeginAtHeadings) {
  const std::string text =
      "# Handbook\n\nWelcome.\n\n## Leave\n\nTwenty days.\n\n### Parents\nSix months.\n## Pay\n\nMonthly.";
  const auto passages = passages_of(text);
  EXPECT_THAT(cut(text), ElementsAre("# Handbook\n\nWelcome.", "## Leave\n\nTwenty days.",
                                     "### Parents\nSix months.", "## Pay\n\nMonthly."));
  EXPECT_EQ(passages[0].headings, "");
  EXPECT_EQ(passages[2].headings, "Handbook\nLeave\n");
  EXPECT_EQ(passages[3].headings, "Handbook\n");
  EXPECT_THAT(cut("# A\n## B\ntext"), ElementsAre("# A\n## B\ntext")) << "a heading is never alone";
  EXPECT_THAT(cut("#hash\nand more"), ElementsAre("#hash\nand more")) << "no heading";
}

TEST(Passages, OfALongParagraphEndAtSentences) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "The harbour of Quellmar opens at six in the morning. ";
  const auto passages = passages_of(text);
  ASSERT_EQ(passages.size(), 2U);
  EXPECT_FALSE(passages[0].goes_on);
  EXPECT_TRUE(passages[1].goes_on);
  for (const Passage& passage : passages) {
    EXPECT_LE(passage.end - passage.begin, PassageRule().bytes_max);
    EXPECT_EQ(text[passage.begin], 'T');
    EXPECT_EQ(text[passage.end - 1], '.');
  }
}

TEST(Passages, AreInOrderAndMissNothing) {
  std::string text;
  for (int i = 0; i < 50; ++i)
    text += (i % 7 == 0 ? "## Part\n" : "") + std::string(static_cast<std::size_t>(i * 37), 'x') + "\n\n";
  std::size_t before = 0, letters = 0;
  for (const Passage& passage : passages_of(text)) {
    EXPECT_GE(passage.begin, before);
    before = passage.end;
    for (std::size_t i = passage.begin; i < passage.end; ++i) letters += text[i] == 'x' ? 1 : 0;
  }
  EXPECT_EQ(letters, static_cast<std::size_t>(std::count(text.begin(), text.end(), 'x')));
}

}  // namespace
}  // namespace pmt::text
