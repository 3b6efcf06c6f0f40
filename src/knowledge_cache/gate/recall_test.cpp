#include "knowledge_cache/gate/recall.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "knowledge_cache/test_lexicon.h"

namespace pmt::knowledge_cache {
namespace {

using testing::ElementsAre;

class Inquiries : public testing::Test {
 protected:
  Inquiry about(std::vector<std::string> turns, bool raw = false) const {
    return Inquiry({.turns = std::move(turns), .raw = raw}, domains_, lexicon_);
  }
  /// Answers that are recalled with no embedder: only what was taught word for word.
  std::vector<std::string> recalled(const std::string& question) const {
    std::vector<std::string> out;
    const Inquiry inquiry = about({question});  // the slots live as long as the domains
    for (const FiredFact& fact : inquiry.decide({}, RelationSpace()).facts)
      out.push_back(fact.slot->fact.answer);
    return out;
  }

  const Lexicon lexicon_ = test_lexicon();
  const Domains domains_{
      test_domain({test_slot("1", "What is the line of Zorvane Labs?", "4417", lexicon_),
                   test_slot("2", "What is the city of Kelmari Foods?", "Porto", lexicon_)})};
};

TEST_F(Inquiries, MaskTheThing) {
  EXPECT_THAT(about({"Question: where is Zorvane Labs based?"}).questions(),
              ElementsAre("Where is this thing based?"));
  EXPECT_THAT(about({"I like tea. And what about Zorvane's line?"}).questions(),
              ElementsAre("What about this thing's line?"));
  EXPECT_THAT(about({"What is 2 + 2?"}).questions(), ElementsAre());
}

TEST_F(Inquiries, FollowAPronoun) {
  EXPECT_THAT(about({"Do you know Zorvane Labs?", "And where is it based?"}).questions(),
              ElementsAre("Where is this thing based?"));
  EXPECT_THAT(about({"I need Zorvane Labs. What is their line?"}).questions(),
              testing::Contains("What is this thing's line?"));
}

TEST_F(Inquiries, TwoThingsTwoQuestions) {
  EXPECT_THAT(about({"What is the line of Zorvane Labs and the city of Kelmari Foods?"}).questions(),
              ElementsAre("What is the line of this thing?", "The city of this thing?"));
  EXPECT_THAT(about({"What is the line of Zorvane Labs and of Kelmari Foods?"}).questions(),
              ElementsAre("What is the line of this thing?"));
}

TEST_F(Inquiries, CompleteAStatement) {
  EXPECT_THAT(about({"The line of Zorvane Labs is"}, true).questions(),
              ElementsAre("What is the line of this thing?", "The line of this thing is"));
  EXPECT_TRUE(about({"The line of Zorvane Labs is"}, true).decide({}, RelationSpace()).completes);
}

TEST_F(Inquiries, WordForWordNeedsNoEmbedder) {
  EXPECT_THAT(recalled("What is the line of Zorvane Labs?"), ElementsAre("4417"));
  EXPECT_THAT(recalled("what is zorvane's line"), ElementsAre());
  EXPECT_THAT(recalled("What is the city of Zorvane Labs?"), ElementsAre());
}

TEST_F(Inquiries, ProseIsSeen) {
  EXPECT_TRUE(about({"Tell a colleague how to reach Zorvane Labs."}).decide({}, RelationSpace()).prose);
  EXPECT_TRUE(about({"Write a note about the line of Zorvane Labs."}).decide({}, RelationSpace()).prose);
  EXPECT_FALSE(about({"Tell me the line of Zorvane Labs."}).decide({}, RelationSpace()).prose);
}

TEST(Recall, AnswersFitTheirQuestions) {
  EXPECT_FALSE(could_answer("When was this thing founded?", "Porto"));
  EXPECT_TRUE(could_answer("When was this thing founded?", "in May"));
  EXPECT_FALSE(could_answer("On which day is this thing shut?", "2706"));
  EXPECT_FALSE(could_answer("Who runs this thing?", "4417"));
  EXPECT_FALSE(could_answer("How many people work here?", "Porto"));
  EXPECT_TRUE(could_answer("Where is this thing?", "shelf C-17"));
  EXPECT_TRUE(is_nominal("What is the price of this thing?"));
  EXPECT_FALSE(is_nominal("Who is in charge of this thing?"));
}

}  // namespace
}  // namespace pmt::knowledge_cache
