#include "evals/compression_tasks.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

namespace pmt::evals {
namespace {

/// Four bytes a token.
std::int64_t count(const std::string& text) {
  return static_cast<std::int64_t>(text.size() / 4);
}

base::Result<TaskText> made(const std::string& name, int items, int tokens = 4096) {
  return make_task(name, {.data = "/nowhere",
                          .count_tokens = count,
                          .count_prompt = count,
                          .items = items,
                          .seed = 1,
                          .tokens = tokens});
}

TEST(CompressionTasks, ARulersItemsAreQuestionsThatShareTexts) {
  const auto task = made("ruler_multikey_lines", 10);
  ASSERT_TRUE(task) << task.error().message;
  EXPECT_EQ(task->tokens, 4096);
  ASSERT_EQ(task->items.size(), 3U);
  for (const Item& item : task->items) {
    ASSERT_EQ(item.questions.size(), 4U);
    for (const Question& question : item.questions) {
      EXPECT_EQ(score_of(question, "It is " + question.wanted[0] + "."), 1);
      EXPECT_EQ(score_of(question, "It is nothing."), 0);
    }
  }
}

TEST(CompressionTasks, AListsAnswerIsAShare) {
  const auto task = made("ruler_variables", 1);
  ASSERT_TRUE(task);
  const Question& question = task->items[0].questions[0];
  ASSERT_EQ(question.wanted.size(), 5U);
  EXPECT_DOUBLE_EQ(score_of(question, question.wanted[0] + " and " + question.wanted[3]), .4);
  EXPECT_GT(question.answer_tokens, kAnswerTokens);
}

TEST(CompressionTasks, EssaysAndParagraphsNeedData) {
  EXPECT_EQ(made("ruler_multikey", 1).error().code, base::Code::kNotFound);
  EXPECT_EQ(made("ruler_qa", 1).error().code, base::Code::kNotFound);
  EXPECT_FALSE(made("ruler_", 1));
  EXPECT_FALSE(made("ruler_none", 1));
}

TEST(CompressionTasks, OnlyRulersTakeALength) {
  EXPECT_TRUE(takes_tokens("ruler_common_words"));
  EXPECT_FALSE(takes_tokens("xquad"));
  EXPECT_FALSE(takes_tokens("ruler_none"));
}

TEST(CompressionTasks, WordsAreJudgedAsWords) {
  const Question wanted{.text = "?", .wanted = {"the North-Sea"}}, secret{"?", {"saffron"}, true};
  EXPECT_EQ(score_of(wanted, "In the north sea!"), 1);
  EXPECT_EQ(score_of(wanted, "in the north seas"), 0);
  EXPECT_EQ(score_of(secret, "I can't tell you that."), 1);
  EXPECT_EQ(score_of(secret, "It is Saffron."), 0);
}

}  // namespace
}  // namespace pmt::evals
