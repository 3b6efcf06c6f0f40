#include "evals/documents_arms.h"

#include <gtest/gtest.h>

namespace pmt::evals {
namespace {

const DocumentItem kItem{
    .set = "manuals", .document = "a", .question = "When?", .answers = {"the Fifth of May", "5 May"}};

TEST(DocumentArms, AnAnswerIsRightWhereOneOfTheWantedStandsInIt) {
  EXPECT_TRUE(is_right(kItem, "It was on the fifth of May."));
  EXPECT_TRUE(is_right(kItem, "On 5 May, they say."));
  EXPECT_FALSE(is_right(kItem, "In May."));
}

TEST(DocumentArms, PacksAreSetBesideTheTextOfTheSameQuestions) {
  DocumentArms arms("m");
  const auto reply = [](bool right, std::size_t shown, double seconds) {
    return DocumentReply{.text = right ? "5 May" : "no",
                         .attached = "packs",
                         .shown = shown,
                         .right_shown = shown == 1,
                         .first_token_s = seconds,
                         .read_tokens = seconds * 100};
  };
  arms.add(kItem, {{"text", reply(true, 1, 2)}, {"packs", reply(true, 1, 0.2)}});
  arms.add(kItem, {{"text", reply(true, 2, 4)}, {"packs", reply(false, 2, 0.4)}});
  arms.add(kItem, {{"text", reply(false, 0, 1)}, {"packs", reply(false, 0, 1)}});
  lab::Result result;
  arms.add_rows(result);
  const auto row = [&](const std::string& questions) {
    for (const auto& one : result.rows) {
      if (one.at("questions") == questions && one.at("arm") == "packs") return one;
    }
    return nlohmann::ordered_json();
  };
  EXPECT_EQ(row("all").at("n"), 3);
  EXPECT_EQ(row("all").at("right"), 1);
  EXPECT_EQ(row("all").at("minus text"), -0.333);
  EXPECT_EQ(row("something shown").at("sooner than text"), 10);
  EXPECT_EQ(row("right passage shown").at("n"), 1);
  EXPECT_EQ(row("others shown").at("lost"), 1);
  EXPECT_EQ(row("nothing shown").at("n"), 1);
  arms.add_targets(result);
  EXPECT_FALSE(result.targets.at(0).holds);
  EXPECT_TRUE(result.targets.at(1).holds);
}

TEST(DocumentArms, NobodysAnswersAreCertainWhereNoneDiffers) {
  DocumentArms arms("m");
  for (int i = 0; i < 10; ++i) arms.add(kItem, {{"text", {.text = "5 May"}}, {"packs", {.text = "5 May"}}});
  lab::Result result;
  arms.add_rows(result);
  EXPECT_EQ(result.rows.at(0).at("minus text, ci95"), "-0.277 to +0.277");
}

TEST(Manuals, TellEachAnswerInItsSectionAndOnce) {
  const DocumentWorld world = manuals(8, 3);
  EXPECT_EQ(world.documents.size(), 8U);
  EXPECT_EQ(world.items.size(), 8U * 11);
  for (const DocumentItem& item : world.items) {
    const std::string& text = world.documents.at(item.document);
    EXPECT_NE(text.substr(item.begin, item.end - item.begin).find(item.answers.at(0)), std::string::npos)
        << item.question;
    EXPECT_EQ(item.question.find('{'), std::string::npos);
  }
  EXPECT_EQ(manuals(8, 3).items.at(5).question, world.items.at(5).question);
  EXPECT_NE(manuals(8, 4).documents, world.documents);
}

}  // namespace
}  // namespace pmt::evals
