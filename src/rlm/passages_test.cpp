#include "rlm/passages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/utf8.h"
#include "rlm/test_texts.h"

namespace pmt::rlm {
namespace {

Ranked ranked(const std::string& text, const std::string& query, std::size_t k,
              std::size_t passage_bytes = 1'200) {
  Watch watch;
  return Passages::index(text, watch, passage_bytes)->search(query, k, watch).value();
}

std::vector<Span> split(const std::string& text, std::size_t passage_bytes) {
  Watch watch;
  const auto passages = Passages::index(text, watch, passage_bytes);
  std::vector<Span> spans;
  for (std::size_t i = 0; i < passages->size(); ++i) spans.push_back(passages->span(i));
  return spans;
}

void expect_whole(const std::string& text, std::size_t passage_bytes) {
  std::size_t at = 0;
  const auto spans = split(text, passage_bytes);
  for (const Span& span : spans) {
    ASSERT_EQ(span.begin, at);
    ASSERT_GT(span.end, at);
    ASSERT_LE(span.end - span.begin, passage_bytes + 2);
    at = span.end;
  }
  ASSERT_EQ(at, text.size());
  ASSERT_LE(spans.size(), 4 * text.size() / passage_bytes + 1) << "few of them";
}

TEST(Passages, CoverTheTextOnceAndInOrder) {
  std::string text;
  for (int i = 0; i < 500; ++i)
    text += "Sentence " + std::to_string(i) + " of the t\u00e9xt. " + (i % 9 == 0 ? "\n\n" : "");
  text += std::string(5'000, 'y');
  for (int i = 0; i < 2'000; ++i) text += "\u00e9";
  expect_whole(text, 300);
  for (const Span& span : split(text, 300)) {
    EXPECT_NE(static_cast<unsigned char>(text[span.begin]) & 0xC0U, 0x80U) << "inside a character";
  }
}

TEST(Passages, OfEveryKindOfTextAreWholeAndFew) {
  for (const char* kind : kTextKinds) {
    SCOPED_TRACE(kind);
    expect_whole(text_of_kind(kind, 100'000), 1'200);
    expect_whole(text_of_kind(kind, 100'000), 6'000);
  }
}

TEST(Passages, EndWhereAThoughtDoes) {
  const auto first = [](const std::string& text) { return text_of(text, split(text, 100)[0]); };
  const std::string filler(30, 'x'), rest(200, 'z');
  EXPECT_EQ(first(filler + filler + "\n\n" + "a b. c\n" + rest), filler + filler + "\n\n");
  EXPECT_EQ(first(filler + filler + "\n" + "a b. c " + rest), filler + filler + "\n");
  EXPECT_EQ(first(filler + filler + ". " + "a b c " + rest), filler + filler + ". ");
  EXPECT_EQ(first(filler + filler + " " + rest), filler + filler + " ");
  EXPECT_EQ(first("a b " + rest).size(), 100U) << "not before its middle";
}

TEST(Passages, AreWholeParagraphsUnderTheirHeading) {
  const std::string small = "The mill stands by the river.\n\n", large = std::string(60, 'y') + " end.\n\n",
                    most = std::string(84, 'w') + " end.\n\n";
  const auto all = [](const std::string& text) {
    std::vector<std::string> texts;
    for (const Span& span : split(text, 100)) texts.emplace_back(text_of(text, span));
    return texts;
  };
  using testing::ElementsAre;
  EXPECT_THAT(all(small + large + most), ElementsAre(small, large, most));
  EXPECT_THAT(all(small + small + large), ElementsAre(small + small, large));
  EXPECT_THAT(all(small + "CHAPTER II\n\n" + large), ElementsAre(small, "CHAPTER II\n\n" + large));
  EXPECT_THAT(all(small + "# Mills\n\n" + small), ElementsAre(small, "# Mills\n\n" + small));
  EXPECT_THAT(all("One.\r\n \r\n" + std::string(90, 'x')),
              ElementsAre("One.\r\n \r\n", std::string(90, 'x')));
}

TEST(Passages, RareWordsWinOverFrequentOnes) {
  std::string text;
  for (int i = 0; i < 200; ++i)
    text += "The keeper of the lighthouse slept again that night, " + std::to_string(i) + ".\n\n";
  const std::size_t needle = text.size();
  text += "The password of the keeper is heron.\n\n";
  for (int i = 0; i < 200; ++i)
    text += "The keeper of the lighthouse woke again, " + std::to_string(i) + ".\n\n";
  const Ranked found = ranked(text, "What is the keeper's password?", 3, 400);
  ASSERT_FALSE(found.best.empty());
  EXPECT_LE(found.best[0].begin, needle);
  EXPECT_GT(found.best[0].end, needle);
  EXPECT_GT(found.rarity.at("password"), found.rarity.at("keeper"));
}

/// The score as published, counted by hand.
TEST(Passages, ScoresAreBm25) {
  const std::string text =
      "apple apple pear" + std::string(85, ' ') + "pear plum fig date" + std::string(85, ' ') + "fig";
  const Ranked found = ranked(text, "apples", 5, 100);
  ASSERT_EQ(found.best.size(), 1U);
  const double weight = std::log((3 - 1 + 0.5) / (1 + 0.5) + 1), length = 0.25 + 0.75 * 3 / (8.0 / 3);
  EXPECT_NEAR(found.best[0].score, weight * 2 * 2.2 / (2 + 1.2 * length), 1e-9);
  EXPECT_NEAR(found.rarity.at("apple"), weight, 1e-9);
}

TEST(Passages, NothingMatchesNothing) {
  const std::string text = "alpha beta gamma";
  EXPECT_TRUE(ranked(text, "what is the of", 5).best.empty());
  EXPECT_TRUE(ranked(text, "delta", 5).best.empty());
  EXPECT_EQ(ranked(text, "BETAS", 5).best.size(), 1U) << "case and plural don't matter";
  EXPECT_TRUE(ranked("", "alpha", 5).best.empty());
}

TEST(Passages, ArePlacedInCharactersToo) {
  std::string text = "\u65e5\u672c\u8a9e \U0001F600 ";
  for (int i = 0; i < 300; ++i) text += "f\u00fcller w\u00f6rds here. ";
  const std::size_t before = text.size();
  text += "The NEEDLE is blue. ";
  for (int i = 0; i < 300; ++i) text += "more f\u00fcller. ";
  const Ranked found = ranked(text, "needle", 1);
  ASSERT_EQ(found.best.size(), 1U);
  const Found& best = found.best[0];
  EXPECT_LE(best.begin, before);
  const std::string_view whole = text;
  EXPECT_EQ(best.begin_character, base::characters(whole.substr(0, best.begin)));
  EXPECT_EQ(best.end_character, base::characters(whole.substr(0, best.end)));
  EXPECT_LT(best.begin_character, best.begin);
}

TEST(Passages, ALongQuestionIsSearchedForToo) {
  std::string question = "heron";
  for (int i = 0; i < 200'000; ++i) question += " w" + std::to_string(i);
  const std::string text = std::string(5'000, ' ') + "a heron" + std::string(5'000, ' ');
  EXPECT_EQ(ranked(text, question, 3).best.size(), 1U);
}

TEST(Passages, AreCutAndIndexedInLinearTime) {
  for (const char* kind : kTextKinds) {
    expect_linear(kind, [](const std::string& text) {
      Watch watch;
      const auto passages = Passages::index(text, watch);
      EXPECT_TRUE(passages->search("Which worker took longest, alpha or abcdefgh x?", 3, watch));
    });
  }
}

TEST(Passages, ACancelledIndexOrSearchEndsSoon) {
  for (const char* kind : kTextKinds) {
    const std::string long_text = text_of_kind(kind, 6 << 20);
    expect_ends_when_cancelled(kind, long_text, [](const std::string& text, Watch& watch) -> base::Status {
      TRY(Passages::index(text, watch));
      return {};
    });
    expect_ends_when_cancelled(kind, long_text, [](const std::string& text, Watch& watch) -> base::Status {
      Watch nobody;
      const auto passages = Passages::index(text, nobody);
      TRY(passages->search("Which worker took longest, alpha or abcdefgh x?", 3, watch));
      return {};
    });
  }
}

TEST(Watch, TellsHowFarLongWorkIs) {
  std::vector<std::string> said;
  Watch watch({}, nullptr, [&](const std::string& text) { said.push_back(text); });
  const std::string text = text_of_kind("log", 20 << 20);
  ASSERT_TRUE(Passages::index(text, watch));
  EXPECT_EQ(said.size(), 9U);
  EXPECT_THAT(said[4], testing::HasSubstr("indexing: 1")) << said[4];
  said.clear();
  const std::string short_text = text_of_kind("log", 1 << 20);
  ASSERT_TRUE(Passages::index(short_text, watch));
  EXPECT_TRUE(said.empty()) << "it is done before anybody has read it";
}

TEST(Watch, HoldsTheBudgetOfSeconds) {
  base::FakeClock clock;
  const Ledger ledger({.seconds = 5.0}, clock);
  Watch watch({}, &ledger, nullptr);
  watch.begin("reading", 100);
  EXPECT_TRUE(watch.look());
  clock.advance(std::chrono::seconds(6));
  EXPECT_EQ(watch.step(1 << 20).error().code, base::Code::kDeadline);
}

}  // namespace
}  // namespace pmt::rlm
