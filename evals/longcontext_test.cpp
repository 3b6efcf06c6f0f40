#include <gtest/gtest.h>

#include <map>
#include <set>

#include <fmt/format.h>

#include "evals/longcontext_score.h"
#include "text/plain_words.h"

namespace pmt::evals {
namespace {

std::size_t times(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

std::vector<std::string> lines_with(const std::string& text, const std::vector<std::string>& words) {
  std::vector<std::string> out;
  for (const std::string& line : lab::split(text.substr(text.find("\n\n") + 2), '\n')) {
    const auto all = text::plain_words(line);
    const auto has = [&](const std::string& word) { return std::ranges::find(all, word) != all.end(); };
    if (std::ranges::all_of(words, has)) out.push_back(line);
  }
  return out;
}

TEST(LongTexts, ANeedleStandsOnceSomewhere) {
  std::set<std::size_t> tenths;
  for (unsigned seed = 1; seed <= 40; ++seed) {
    const LongText made = needle_text(20'000, seed);
    ASSERT_EQ(made.items.size(), 1U);
    const std::string& wanted = made.items[0].wanted;
    EXPECT_EQ(times(made.text, wanted), 1U);
    EXPECT_EQ(times(made.text, "inventory"), 1U);
    EXPECT_GE(made.text.size(), 20'000U);
    EXPECT_LE(made.text.size(), 22'000U);
    tenths.insert(10 * made.text.find(wanted) / made.text.size());
  }
  EXPECT_GE(tenths.size(), 7U) << "anywhere in the text";
}

TEST(LongTexts, CountsAreThoseOfTheLines) {
  for (const RecordForm form : {RecordForm::kFields, RecordForm::kSentences}) {
    for (unsigned seed = 1; seed <= kRecordKinds; ++seed) {
      const LongText made = records_text(30'000, form, 10, seed);
      ASSERT_EQ(made.items.size(), 10U);
      for (const LongItem& item : made.items) {
        if (item.task != "count") continue;
        const auto words = text::plain_words(item.question);
        EXPECT_EQ(std::to_string(lines_with(made.text, {words.back()}).size()), item.wanted) << item.question;
      }
    }
  }
}

TEST(LongTexts, ChoicesAreTheMostCommonOfThose) {
  for (unsigned seed = 1; seed <= 8; ++seed) {
    const LongText made = records_text(30'000, RecordForm::kSentences, 10, seed);
    for (const LongItem& item : made.items) {
      if (item.kind != LongAnswer::kChoice) continue;
      std::map<std::string, std::size_t> counts;
      for (const std::string& label : item.choices) counts[label] = lines_with(made.text, {label}).size();
      for (const std::string& label : item.choices) {
        if (label == item.wanted) continue;
        EXPECT_EQ(item.task == "least", counts[item.wanted] < counts[label]) << item.question;
        EXPECT_NE(counts[item.wanted], counts[label]) << item.question;
      }
    }
  }
}

TEST(LongTexts, ASeedIsAText) {
  EXPECT_EQ(needle_text(9'000, 3).text, needle_text(9'000, 3).text);
  EXPECT_NE(needle_text(9'000, 3).text, needle_text(9'000, 4).text);
  const auto records = [](unsigned seed) { return records_text(9'000, RecordForm::kSentences, 5, seed); };
  EXPECT_EQ(records(3).text, records(3).text);
  EXPECT_EQ(records(3).items[4].question, records(3).items[4].question);
  EXPECT_NE(records(3).text, records(3 + kRecordKinds).text);
}

const LongItem kCount{.task = "count", .kind = LongAnswer::kCount, .question = "", .wanted = "1204"};
const LongItem kChoice{.task = "compare",
                       .kind = LongAnswer::kChoice,
                       .question = "",
                       .wanted = "rust",
                       .choices = {"frost", "rust"}};
const LongItem kNeedle{.task = "needle", .kind = LongAnswer::kNeedle, .question = "", .wanted = "1234567"};

TEST(LongScores, AnAnswerIsItsFirstLineUpToTheBracket) {
  EXPECT_TRUE(is_right(kCount, "1,204 (COUNT(*) where label = 'x')\n9 of 10 rows"));
  EXPECT_FALSE(is_right(kCount, "There are 7 (of 1204)."));
  EXPECT_FALSE(is_right(kCount, "Some.\n1204"));
  EXPECT_FALSE(is_right(kCount, "Not in the text: 1204 passages were read"));
  EXPECT_TRUE(is_right(kNeedle, "The number is 1234567.\n\"...\""));
  EXPECT_FALSE(is_right(kNeedle, "12345678"));
}

TEST(LongScores, AChoiceIsWhatIsNamedFirst) {
  EXPECT_TRUE(is_right(kChoice, "Rust is more common than frost."));
  EXPECT_FALSE(is_right(kChoice, "Frost, not rust."));
  EXPECT_FALSE(is_right(kChoice, "frosty rusty"));
  EXPECT_FALSE(is_right(kChoice, ""));
}

TEST(LongScores, ANearCountHasCredit) {
  EXPECT_EQ(credit_of(kCount, "1204"), 1);
  EXPECT_EQ(credit_of(kCount, "1205"), 0.75);
  EXPECT_EQ(credit_of(kCount, "1202"), 0.75 * 0.75);
  EXPECT_EQ(credit_of(kChoice, "frost"), 0);
  EXPECT_EQ(credit_of(kCount, "none"), 0);
}

TEST(LongScores, WhatWasGivenUpIsNoWrongAnswer) {
  LongScores scores;
  const LongScores::Where where{.task = "counts", .length = "32K", .arm = "chunks"};
  scores.add(where, kCount, {.text = "1204", .seconds = 2, .prompt_tokens = 10});
  scores.add(where, kCount, {.text = "3", .seconds = 4, .prompt_tokens = 30});
  scores.add(where, kCount, {.text = "", .given_up = "read 3 of 9 chunks in 60 s"});
  lab::Result result;
  scores.add_rows(result);
  ASSERT_EQ(result.rows.size(), 1U);
  EXPECT_EQ(result.rows[0].at("asked"), 2);
  EXPECT_EQ(result.rows[0].at("right"), 1);
  EXPECT_EQ(result.rows[0].at("s_median"), 3);
  EXPECT_TRUE(result.rows[0].at("s_p90").is_null()) << "of two";
  EXPECT_EQ(result.rows[0].at("prompt_tokens"), 20);
  EXPECT_EQ(result.rows[0].at("by kind"), "count 1/2");
  EXPECT_EQ(result.rows[0].at("not run"), "read 3 of 9 chunks in 60 s");
  EXPECT_EQ(scores.figures(where).s_median, 3);
  EXPECT_EQ(scores.figures({.task = "counts", .length = "1000K", .arm = "chunks"}).n, 0);
}

}  // namespace
}  // namespace pmt::evals
