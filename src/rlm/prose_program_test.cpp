#include "rlm/prose_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rlm/program_fixture.h"
#include "rlm/prose_question.h"

namespace pmt::rlm {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

std::string harbour() {
  std::string text;
  for (int i = 0; i < 300; ++i)
    text += "Nothing was seen on day " + std::to_string(i) + ", as ever before.\n\n";
  text += "The captain of the Marigold is Ada Quill, who came from the north.\n\n";
  for (int i = 0; i < 300; ++i)
    text += "Nobody wrote a word on day " + std::to_string(i) + ", as ever before.\n\n";
  text += "Tom Vane was born in 1869.\n\nIn 1871 Ada  Quill was born,\nin a mill.\n\n";
  return text;
}

/// Over harbour().
class ProseProgramTest : public ProgramTest {
 protected:
  std::string ask(const std::string& question, std::vector<std::string> says,
                  const std::string& context = harbour()) {
    leaf_parameters_ = parameters_;
    return ask_about(context, question, std::move(says));
  }
  const json& quotes() const { return engine_.at("context_strategy").at("quotes"); }
};

TEST_F(ProseProgramTest, AnswersWithAQuoteAndItsBytes) {
  const std::string text = harbour();
  const std::string said = ask("Who is the captain of the Marigold?",
                               {"Quote: \"the captain of the Marigold is Ada Quill\"\nAnswer: Ada Quill"});
  const std::string quote = "The captain of the Marigold is Ada Quill";
  const std::size_t begin = text.find(quote);
  EXPECT_EQ(said, "Ada Quill\n\"" + quote + "\" (bytes " + std::to_string(begin) + " to " +
                      std::to_string(begin + quote.size()) + ")");
  ASSERT_EQ(quotes().size(), 1U);
  EXPECT_EQ(quotes()[0].at("begin"), begin);
  EXPECT_EQ(quotes()[0].at("end"), begin + quote.size());
  EXPECT_LE(quotes()[0].at("passage").at("begin"), begin);
  EXPECT_EQ(engine_.at("trace").at("iterations").at(0).at("quote").at("begin"), begin);
  EXPECT_EQ(engine_.at("trace").at("iterations").at(0).at("final_answer"), said);
  ASSERT_EQ(calls_.size(), 1U);
  EXPECT_EQ(calls_[0].response_format.kind, llm::ResponseFormat::Kind::kGrammar);
  EXPECT_EQ(calls_[0].kv.ratio, 1) << "what is quoted is read exactly";
  EXPECT_LT(said_to(0).size(), 5'000U) << "of " << text.size();
}

TEST_F(ProseProgramTest, ARatioThatIsNotTakenIsToldOf) {
  ratio_ = 8;
  EXPECT_THAT(ask("Who is the captain of the Marigold?",
                  {"Quote: \"the captain of the Marigold is Ada Quill\"\nAnswer: Ada Quill"}),
              StartsWith("Ada Quill\n"));
  EXPECT_EQ(calls_.at(0).kv.ratio, 1);
  EXPECT_EQ(engine_.at("kv_cache_compression").at("calls_exact"), 1);
}

TEST_F(ProseProgramTest, WhatStandsNowhereIsSaidOnceAndThenIsNoAnswer) {
  const std::string made_up = "Quote: \"The captain of the Marigold is Bo Hale\"\nAnswer: Bo Hale";
  EXPECT_THAT(ask("Who is the captain of the Marigold?",
                  {made_up, "Quote: \"of the Marigold is Ada Quill\"\nAnswer: Ada Quill"}),
              StartsWith("Ada Quill\n"));
  EXPECT_EQ(calls_.size(), 2U);
  EXPECT_THAT(said_to(1), HasSubstr("do not stand in the passages"));
  EXPECT_THAT(ask("Who is the captain of the Marigold?", {made_up}),
              AllOf(StartsWith("Not in the text: "), Not(HasSubstr("Bo Hale"))));
  EXPECT_THAT(quotes(), IsEmpty());
  EXPECT_THAT(ask("Who is the captain of the Marigold?",
                  {"Quote: \"the captain of the Marigold\"\nAnswer: Tom Vane", "Not in the text."}),
              StartsWith("Not in the text: "))
      << "the quote is real, and says something else";
  EXPECT_THAT(said_to(1), HasSubstr("do not state the answer"));
  EXPECT_THAT(ask("Is Ada Quill the captain of the Marigold?",
                  {"Quote: \"The captain of the Marigold is Ada Quill\"\nAnswer: Yes"}),
              StartsWith("Yes\n"));
}

TEST_F(ProseProgramTest, AQuoteAboutSomethingElseIsNoAnswer) {
  const std::string other = "Quote: \"Captain Tom Vane was born in 1869\"\nAnswer: 1869";
  std::string text = "Captain Tom Vane was born in 1869, for a captain is born at sea.\n\n";
  for (int i = 0; i < 300; ++i)
    text += "Nothing was seen on day " + std::to_string(i) + ", as ever before.\n\n";
  EXPECT_THAT(ask("When was the captain born in Oslo?",
                  {other, "Quote: \"In 1871 the old man was born in Oslo\"\nAnswer: 1871"},
                  text + "In 1871 the old man was born in Oslo.\n\n"),
              StartsWith("1871\n"));
  ASSERT_EQ(calls_.size(), 2U);
  EXPECT_THAT(said_to(0), HasSubstr("Tom Vane"));
  EXPECT_THAT(said_to(1), HasSubstr("not about what the question names"));
}

/// The passage names what is asked about, but elsewhere: a root of 1.5B took anybody's year of birth.
TEST_F(ProseProgramTest, AQuoteThatNamesSomebodyElseIsNoAnswer) {
  std::string text =
      "The captain in Riga fell ill, and was never seen again.\n\nYoung Tom Vane was born in 1869.\n\n";
  const std::string question = "In which year was the captain in Riga born?";
  const std::vector<std::string> says = {"Quote: \"Tom Vane was born in 1869\"\nAnswer: 1869",
                                         "Not in the text."};
  EXPECT_THAT(ask(question, says, text), StartsWith("Not in the text: "));
  EXPECT_THAT(said_to(1), HasSubstr("not about what the question names"));
  text = "The captain in Riga fell ill.\n\nHe was born in 1869.\n\n";
  EXPECT_THAT(ask(question, {"Quote: \"He was born in 1869.\"\nAnswer: 1869"}, text), StartsWith("1869\n"));
}

TEST_F(ProseProgramTest, AQuoteOfTheAnswerAloneIsItsSentence) {
  EXPECT_THAT(
      ask("Who is the captain of the Marigold?", {"Quote: \"Ada Quill\"\nAnswer: Ada Quill"}),
      StartsWith(
          "Ada Quill\n\"The captain of the Marigold is Ada Quill, who came from the north.\" (bytes "));
}

TEST_F(ProseProgramTest, ANameThatTheTextLacksNeedsNoModel) {
  EXPECT_EQ(ask("Who is the captain of the Zorba?", {"never asked"}),
            "Not in the text: nothing in it is called \"zorba\".");
  EXPECT_TRUE(calls_.empty());
}

TEST_F(ProseProgramTest, APartOfTheQuestionLeadsToOtherPassages) {
  const std::string said =
      ask("In which year was the captain of the Marigold born?",
          {"Not in the text.", "Quote: \"The captain of the Marigold is Ada Quill\"\nAnswer: Ada Quill",
           "Quote: \"In 1871 Ada Quill was born, in a mill.\"\nAnswer: 1871"});
  EXPECT_THAT(said, AllOf(StartsWith("1871\n\"In 1871 Ada  Quill was born,\nin a mill.\" (bytes "),
                          HasSubstr("\n\"The captain of the Marigold is Ada Quill\" (bytes ")));
  ASSERT_EQ(calls_.size(), 3U) << "what is described is asked for by the program";
  EXPECT_THAT(said_to(2), AllOf(HasSubstr("Question: In which year was Ada Quill born?"),
                                HasSubstr("In 1871 Ada  Quill was born")));
  EXPECT_EQ(quotes().size(), 2U);
}

TEST_F(ProseProgramTest, TheRootNamesAPartThatIsDescribedInOtherWords) {
  EXPECT_THAT(ask("In which year was the Marigold's captain born?",
                  {"Not in the text.", "Who is the captain of the Marigold?",
                   "Quote: \"The captain of the Marigold is Ada Quill\"\nAnswer: Ada Quill",
                   "Quote: \"In 1871 Ada Quill was born, in a mill.\"\nAnswer: 1871"}),
              StartsWith("1871\n"));
  EXPECT_EQ(calls_.size(), 4U);
}

TEST_F(ProseProgramTest, AWayThatEndsNowhereLeavesNoQuote) {
  EXPECT_THAT(
      ask("In which year was the captain of the Marigold married?",
          {"Not in the text.", "Quote: \"The captain of the Marigold is Ada Quill\"\nAnswer: Ada Quill",
           "Not in the text.", "One step.", "Not in the text."}),
      StartsWith("Not in the text: "));
  EXPECT_THAT(quotes(), IsEmpty());
  EXPECT_LE(calls_.size(), 7U);
}

/// Names and a kind alone would find any of them.
TEST_F(ProseProgramTest, APartWithoutTheNameIsNone) {
  EXPECT_THAT(ask("In which year was the Marigold's captain married?",
                  {"Not in the text.", "Who is the captain?", "Not in the text."}),
              StartsWith("Not in the text: "));
  EXPECT_LE(calls_.size(), 3U);
}

TEST_F(ProseProgramTest, ASentenceWithAllOfTheWordsIsReadAlone) {
  const std::string like =
      "The password of the mill in Oslo was asked for by the miller of the mill in Porto.\n\n";
  std::string text = "The password of the bank in Oslo is amber.\n\n";
  for (int i = 0; i < 100; ++i)
    text += "Nothing was seen on day " + std::to_string(i) + ", as ever before.\n\n";
  text += "The secret password of the mill in Oslo is heron.\n\n";
  for (int i = 0; i < 100; ++i)
    text += "Nothing was seen on day " + std::to_string(i) + ", as ever before.\n\n";
  text += like + like + like;
  EXPECT_THAT(ask("What is the secret password of the mill in Oslo?",
                  {"Quote: \"The secret password of the mill in Oslo is heron.\"\nAnswer: heron"}, text),
              StartsWith("heron\n"));
  EXPECT_THAT(said_to(0), AllOf(Not(HasSubstr("amber")), Not(HasSubstr("miller"))));
}

/// A root of 1.5B said of such a passage that it isn't there, and then took a like sentence that was read late.
TEST_F(ProseProgramTest, ARefusedSentenceWithAllOfTheWordsIsReadAgainAlone) {
  std::string text;
  for (int i = 0; i < 100; ++i)
    text += "Nothing was seen on day " + std::to_string(i) + ", as ever before.\n\n";
  text += "The secret password of the mill in Oslo is heron.\n\n";
  for (int i = 0; i < 100; ++i)
    text += "Nobody wrote a word on day " + std::to_string(i) + ", as ever before.\n\n";
  text += "The secret password of the mill in Porto is amber.\n\n";
  const std::string question = "What is the secret password of the mill in Oslo?";
  EXPECT_THAT(
      ask(question,
          {"Not in the text.", "Quote: \"The secret password of the mill in Oslo is heron.\"\nAnswer: heron"},
          text),
      StartsWith("heron\n"));
  ASSERT_EQ(calls_.size(), 2U);
  EXPECT_THAT(said_to(0), HasSubstr("on day"));
  EXPECT_THAT(said_to(1), AllOf(HasSubstr("heron"), Not(HasSubstr("on day"))));

  EXPECT_THAT(ask(question,
                  {"Not in the text.", "Not in the text.", "One step.",
                   "Quote: \"The secret password of the mill in Porto is amber.\"\nAnswer: amber"},
                  text),
              StartsWith("Not in the text: "));
  EXPECT_EQ(calls_.size(), 3U) << "what is told of alike is not read";
}

/// Who plays the lute isn't said to play an instrument.
TEST_F(ProseProgramTest, TheKindThatIsAskedForNeedNotStandInTheSentence) {
  std::string text = "Ada Quill was seen with an instrument maker of Oslo, on a day that she left.\n\n";
  for (int i = 0; i < 100; ++i)
    text += "Nothing was seen on day " + std::to_string(i) + ", as ever before.\n\n";
  text += "On quiet evenings Ada Quill plays the lute.\n\n";
  EXPECT_THAT(ask("Which instrument does Ada Quill play?",
                  {"Not in the text.", "Quote: \"Ada Quill plays the lute\"\nAnswer: the lute"}, text),
              StartsWith("the lute\n"));
  EXPECT_EQ(said_to(1).find("Passage 1:\nOn quiet evenings Ada Quill plays the lute.\n"), 0U) << said_to(1);
  EXPECT_EQ(prose_question("In which year was she born?").kind, "year");
  EXPECT_EQ(prose_question("What is the secret password of the mill?").kind, "");
  EXPECT_EQ(prose_question("Who is it?").kind, "");
}

TEST_F(ProseProgramTest, AModelThatSplitsForEverEnds) {
  std::vector<std::string> says;
  for (int i = 0; i < 100; ++i) {
    says.emplace_back("Quote: \"The captain of the Marigold is Ada Quill\"\nAnswer: Ada Quill");
    says.emplace_back("Not in the text.");
    says.emplace_back("Who is the captain?");
  }
  ask("In which year was the captain of the Marigold seen on the day in the north?", says);
  EXPECT_LE(calls_.size(), 20U);
}

/// A model of 135M can't copy: the quote is the sentence that has its answer's words.
TEST_F(ProseProgramTest, ATinyReaderIsGivenSentences) {
  parameters_ = 135'000'000;
  EXPECT_THAT(ask("Who is the captain of the Marigold?", {"The captain is Ada Quill."}),
              StartsWith("The captain is Ada Quill.\n\"The captain of the Marigold is Ada Quill, who came"));
  EXPECT_LT(said_to(0).size(), 600U);
  EXPECT_THAT(ask("Who is the captain of the Marigold?", {"The captain is Bo Hale."}),
              StartsWith("Not in the text: "));
}

TEST_F(ProseProgramTest, ATinyReaderFindsWhatIsDescribedByAName) {
  parameters_ = 494'000'000;
  EXPECT_THAT(ask("In which year was the captain of the Marigold born?",
                  {"I don't know.", "The captain of the Marigold is Ada Quill.", "She was born in 1871."}),
              AllOf(StartsWith("She was born in 1871.\n"), HasSubstr("In 1871 Ada  Quill was born"),
                    HasSubstr("The captain of the Marigold is Ada Quill")));
  EXPECT_THAT(said_to(2), HasSubstr("In which year was Ada Quill born?"));
}

/// It answers whatever it is asked; its words stand in the sentences that it was shown.
TEST_F(ProseProgramTest, ATinyReaderInventsNothing) {
  parameters_ = 494'000'000;
  for (const auto& [question, said] :
       {std::pair{"How tall is the captain of the Marigold?", "Ada Quill, who came from the north."},
        {"What is the name of the dog of Ada Quill?", "The dog of Ada Quill is the mill."},
        {"Which instrument does Ada Quill play?", "Ada Quill was born in a mill."},
        {"What did Tom Vane sell?", "Nothing was seen."},
        {"Who is the captain of the Marigold?", "The captain of the Marigold."}}) {
    EXPECT_THAT(ask(question, {said}), StartsWith("Not in the text: ")) << question;
    EXPECT_THAT(quotes(), IsEmpty());
  }
}

TEST(ProseQuestion, TellsWhatCanBeItsAnswer) {
  const auto fits = [](const char* question, const char* answer) {
    return fits_question(prose_question(question), answer);
  };
  EXPECT_TRUE(fits("How tall is the mill?", "40 m"));
  EXPECT_TRUE(fits("How many keys are there?", "There are twelve of them."));
  EXPECT_TRUE(fits("How many keys are there?", "None."));
  EXPECT_TRUE(fits("In which year was she born?", "1871"));
  EXPECT_TRUE(fits("How did she travel?", "by boat"));
  EXPECT_FALSE(fits("How tall is the mill?", "It is in Oslo."));
  EXPECT_FALSE(fits("In which year was she born?", "in a mill"));
}

TEST(ProseQuestion, TheNameInASentence) {
  const char* asked = "Who is the keeper of the mill in Oslo?";
  EXPECT_EQ(name_told("The keeper of the mill in Oslo is called Mirna Talbot.", asked), "Mirna Talbot");
  EXPECT_EQ(name_told("Mirna Talbot keeps it.", asked), "Mirna Talbot");
  EXPECT_EQ(name_told("a man from the north", asked), "a man from the north");
}

TEST(ProseQuestion, WhatIsDescribedBySomethingNamedIsAPart) {
  EXPECT_EQ(described_part("In which year was the keeper of the printing house in Cadiz born?"),
            "Who is the keeper of the printing house in Cadiz?");
  EXPECT_EQ(described_part("Where does the first painter of The Blue Gate live?"),
            "Who is the first painter of The Blue Gate?");
  EXPECT_EQ(described_part("Which village has the captain of the Marigold a house in?"),
            "Who is the captain of the Marigold?");
  for (const char* none :
       {"Who is the captain of the Marigold?", "What is the name of the dog of Ada Quill?",
        "How tall is the mill in Oslo?", "When was the captain of the ship born?", "the", ""})
    EXPECT_EQ(described_part(none), "") << none;
}

TEST(ProseQuestion, KnowsItsNamesAndItsParts) {
  const ProseQuestion question = prose_question("Where is Ada Quill's boat, the H2O, moored in Oslo?");
  EXPECT_THAT(question.names,
              ElementsAre(ElementsAre("ada", "quill"), ElementsAre("h2o"), ElementsAre("oslo")));
  EXPECT_TRUE(names_one_of(question, "Miss Quill slept."));
  EXPECT_FALSE(names_one_of(question, "The boat is moored."));
  EXPECT_TRUE(names_one_of(prose_question("where is the boat?"), "Nothing."));

  const std::string whole = "In which year was the captain of the Marigold born?";
  EXPECT_TRUE(is_part_of("Who is the captain of the Marigold?", whole));
  EXPECT_FALSE(is_part_of(whole, whole));
  EXPECT_FALSE(is_part_of("Who painted the old barn?", whole));
  EXPECT_FALSE(is_part_of("?", whole));

  const ProseQuestion next =
      with_known(prose_question(whole), "Who is the captain of the Marigold?", "Ada Quill.");
  EXPECT_EQ(next.text, "In which year was Ada Quill born?");
  EXPECT_EQ(next.query, next.text);
  EXPECT_THAT(next.names, ElementsAre(ElementsAre("ada", "quill")));
  const ProseQuestion other = with_known(prose_question("In which year was the Marigold's captain born?"),
                                         "Who is the captain of the Marigold?", "Ada Quill");
  EXPECT_EQ(other.known, "Who is the captain of the Marigold? Ada Quill");
  EXPECT_THAT(other.query, AllOf(HasSubstr("born"), HasSubstr("Ada Quill"), Not(HasSubstr("marigold"))));
  EXPECT_THAT(other.names, ElementsAre(ElementsAre("ada", "quill")));
}

}  // namespace
}  // namespace pmt::rlm
