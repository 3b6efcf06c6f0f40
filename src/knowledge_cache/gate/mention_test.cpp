#include "knowledge_cache/gate/mention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "knowledge_cache/test_lexicon.h"

namespace pmt::knowledge_cache {
namespace {

std::string mention_of(const std::vector<std::string>& phrasings, const std::string& subject = "") {
  const auto found = choose_mention(phrasings, subject, test_lexicon());
  return found ? phrasings[0].substr(found->begin, found->end - found->begin)
               : "error: " + found.error().message;
}

TEST(Mention, IsTheName) {
  EXPECT_EQ(mention_of({"What is the support line of Zorvane Labs?"}), "Zorvane Labs");
  EXPECT_EQ(mention_of({"How much does the Velsaska kettle weigh?"}), "Velsaska kettle");
  EXPECT_EQ(mention_of({"Where was Otto van der Berg born?"}), "Otto van der Berg");
  EXPECT_EQ(mention_of({"what is the price of zorvane?"}), "zorvane");
  EXPECT_EQ(mention_of({"What is Zorvane Labs's motto?"}), "Zorvane Labs");
  EXPECT_EQ(mention_of({"Which city is the Museum of Modern Arts in?"}), "Museum of Modern Arts");
  EXPECT_EQ(mention_of({"Zorvane Labs: price?"}), "Zorvane Labs");
  // "velsaska" stands for a rare word that is asked for.
  EXPECT_EQ(mention_of({"What is the velsaska of Zorvane Labs?"}), "Zorvane Labs");
}

TEST(Mention, IsWhatPhrasingsShare) {
  EXPECT_EQ(mention_of({"Does Kelmari know Zorvane Labs?", "How about Zorvane Labs?"}), "Zorvane Labs");
}

TEST(Mention, TheSubjectSettlesIt) {
  EXPECT_EQ(mention_of({"Who did Kelmari call about Zorvane?"}, "Kelmari"), "Kelmari");
  EXPECT_THAT(mention_of({"Who is Kelmari?"}, "Brunolo"), testing::HasSubstr("isn't in \"prompt\""));
  EXPECT_THAT(mention_of({"What is it?"}), testing::HasSubstr("add \"subject\""));
}

TEST(Mention, MaskedAndStated) {
  const std::string text = "How much does the Velsaska kettle's lid weigh?";
  const auto at = text.find("Velsaska");
  EXPECT_EQ(masked(text, at, at + 15), "How much does this thing's lid weigh?");
  EXPECT_EQ(statement_of({.prompt = "What is the line of Zorvane?", .answer = "4417"}, "Zorvane"),
            "The line of Zorvane is 4417.");
  EXPECT_EQ(statement_of({.prompt = "Who runs Zorvane?", .answer = "Ada."}, "Zorvane"), "Zorvane: Ada.");
}

}  // namespace
}  // namespace pmt::knowledge_cache
