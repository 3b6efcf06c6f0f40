#include "evals/routing_questions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace pmt::evals {
namespace {

using testing::HasSubstr;

TEST(RoutingQuestions, OneSeedIsOneSetAndEachDiffers) {
  for (const char* set : {"arithmetic", "code"}) {
    const auto first = draw_questions(set, "", 60, 7), again = draw_questions(set, "", 60, 7);
    ASSERT_EQ(first.size(), 60U);
    std::set<std::string> texts;
    for (std::size_t i = 0; i < first.size(); ++i) {
      EXPECT_EQ(first[i].text, again[i].text);
      texts.insert(first[i].text);
    }
    EXPECT_EQ(texts.size(), 60U);
    EXPECT_NE(first[0].text, draw_questions(set, "", 60, 8)[0].text);
  }
}

TEST(RoutingQuestions, ANumberIsRightHoweverItIsSaid) {
  RoutingJudge judge;
  const RoutingQuestion question{.set = "arithmetic", .text = "What is 980 + 88?", .answers = {"1068"}};
  for (const char* right : {"1068", "The answer is 1,068.", "980 + 88 = 1068.0", "**1068**\n"})
    EXPECT_TRUE(judge.is_right(question, right)) << right;
  for (const char* wrong : {"1067", "-1068", "1068 + 1", "", "none", "10680", "1068.5"})
    EXPECT_FALSE(judge.is_right(question, wrong)) << wrong;
}

TEST(RoutingQuestions, WordsAreRightByContentAndOverlap) {
  RoutingJudge judge;
  const RoutingQuestion question{.set = "articles", .text = "Who?", .answers = {"the Earl of Derby"}};
  EXPECT_TRUE(judge.is_right(question, "It was The Earl of Derby."));
  EXPECT_TRUE(judge.is_right(question, "Earl of Derby"));
  EXPECT_FALSE(judge.is_right(question, "the Duke"));
}

TEST(RoutingQuestions, CodeIsRightWhenItDoesWhatWasAsked) {
  sandbox::SandboxOptions options;
  options.warm = 1;
  if (!sandbox::Sandbox::open(options)) GTEST_SKIP() << "no sandbox here";
  RoutingJudge judge;
  const auto all = draw_questions("code", "", 60, 1);
  int prime = 0;
  for (const RoutingQuestion& question : all) {
    EXPECT_FALSE(judge.is_right(question, "```python\ndef f(xs):\n    return None\n```")) << question.text;
    if (question.text.find("prime") == std::string::npos) continue;
    ++prime;
    EXPECT_TRUE(
        judge.is_right(question,
                       "Here it is:\n```python\ndef f(n):\n    return n > 1 and all(n % i for i in range(2, "
                       "n))\n```\nIt tries each."));
    EXPECT_FALSE(judge.is_right(question, "def f(n):\n    return n % 2 == 1"));
    EXPECT_FALSE(judge.is_right(question, "I don't know."));
  }
  EXPECT_EQ(prime, 1);
}

}  // namespace
}  // namespace pmt::evals
