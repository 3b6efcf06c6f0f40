#include "text/asked_part.h"

#include <string>

#include <gtest/gtest.h>

namespace pmt::text {
namespace {

/// Prose that asks nothing: 66 words.
const std::string kProse =
    "The harbour lay quiet under a thin mist that morning. Three boats had come in before dawn, and their crews "
    "were mending nets along the wall. An old man counted crates of herring and wrote the numbers in a small "
    "book. Nobody had seen the ferry since Tuesday. The baker said that it would come with the tide, as it had "
    "come every week since the war.";

std::string asked(const std::string& turn) {
  const auto range = asked_part(turn);
  return range ? turn.substr(range->begin, range->end - range->begin) : "none";
}

TEST(AskedPart, AShortTurnIsAskedAsAWhole) {
  EXPECT_EQ(asked(" What is the code?\n"), "What is the code?");
  EXPECT_EQ(asked("the code of the vault"), "the code of the vault");
  EXPECT_EQ(asked("  \n"), "none");
}

TEST(AskedPart, AQuestionInTheLastSentence) {
  EXPECT_EQ(asked(kProse + " What is the secret code for the garden gate?"),
            "What is the secret code for the garden gate?");
  EXPECT_EQ(asked(kProse + "\nWho counted the crates? Answer with a name only. Thank you."),
            "Who counted the crates? Answer with a name only. Thank you.");
  EXPECT_EQ(asked(kProse + "\n\nQuestion: the ferry's day\n"), "Question: the ferry's day");
}

TEST(AskedPart, TheShortParagraphOfAQuestionGoesWithIt) {
  EXPECT_EQ(asked(kProse + "\n\nI have lost my place. Who wrote the numbers? I mean the crates."),
            "I have lost my place. Who wrote the numbers? I mean the crates.");
}

TEST(AskedPart, AQuestionAfterLinesWithoutStops) {
  std::string table = "crate; lamps\n";
  for (int i = 0; i < 60; ++i) table += std::to_string(i) + "; " + std::to_string(i * 7 % 31) + "\n";
  EXPECT_EQ(asked(table + "How many lamps are in crate 3?"), "How many lamps are in crate 3?");
}

TEST(AskedPart, AQuestionInProseIsNotTheTurns) {
  EXPECT_EQ(asked("Did the ferry come? " + kProse + " " + kProse), "Did the ferry come?")
      << "the first sentence may be";
  EXPECT_EQ(asked(kProse + " Did the ferry come? " + kProse), "none");
  EXPECT_EQ(asked(kProse + " Did the ferry come? " + kProse + " Who counted?"), "Who counted?");
}

TEST(AskedPart, AnInstructionBeforeTheText) {
  EXPECT_EQ(asked("Summarize the following text.\n\n" + kProse), "Summarize the following text.");
  EXPECT_EQ(asked("Here is what I want in French:\n" + kProse), "Here is what I want in French:");
  EXPECT_EQ(asked("Please list the people.\n" + kProse), "Please list the people.");
}

TEST(AskedPart, AnInstructionAfterTheText) {
  EXPECT_EQ(asked(kProse + "\n\nSummarize the text above."), "Summarize the text above.");
  EXPECT_EQ(asked(kProse + " Say yes."), "Say yes.");
}

/// A sign at one end goes before a mere verb at the other.
TEST(AskedPart, TheSurerEndIsTaken) {
  EXPECT_EQ(asked("Summarize the following text.\n\n" + kProse + " Tell nobody."),
            "Summarize the following text.");
  EXPECT_EQ(asked("Read the text. " + kProse + " Who counted the crates?"), "Who counted the crates?");
}

TEST(AskedPart, ProseAloneAsksNothing) {
  EXPECT_EQ(asked(kProse), "none");
  EXPECT_EQ(asked(kProse + "\n\n" + kProse), "none");
}

TEST(AskedPart, AScriptWithoutSpacesIsNoShortTurn) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "\u6E2F";
  EXPECT_EQ(asked(text), "none");
  EXPECT_EQ(asked(text + "?"), "none") << "all of it is one sentence";
  EXPECT_EQ(asked("\u6E2F\u6E2F?"), "\u6E2F\u6E2F?");
}

TEST(AskedPart, OtherLanguagesQuestionMarksCount) {
  EXPECT_EQ(asked(kProse + "\n\nWie viele Kisten waren es?"), "Wie viele Kisten waren es?");
}

}  // namespace
}  // namespace pmt::text
