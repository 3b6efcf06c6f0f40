#include "compression/question.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace pmt::compression {
namespace {

const std::string kProse =
    "The harbour lay quiet under a thin mist that morning. Three boats had come in before dawn, and their crews "
    "were mending nets along the wall. An old man counted crates of herring and wrote the numbers in a small "
    "book. Nobody had seen the ferry since Tuesday.";
const std::string kHead = "[user] ", kTurn = " [assistant]";

/// A token is a word with the space before it.
std::vector<std::string> tokens_of(const std::string& prompt) {
  std::vector<std::string> out;
  for (const char c : prompt) {
    if (out.empty() || c == ' ' || c == '\n') out.emplace_back();
    out.back() += c;
  }
  return out;
}

struct Told {
  std::string asked, tail;
  bool at_end = false;
};

Told told(const std::string& prompt, std::optional<std::string_view> turn) {
  const auto tokens = tokens_of(prompt);
  const auto place = find_question(tokens, turn);
  if (!place) return {};
  const auto text = [&](int first, int end) {
    std::string out;
    for (int i = first; i < end; ++i) out += tokens[static_cast<std::size_t>(i)];
    return out;
  };
  return {text(place->first, place->end), text(place->tail, static_cast<int>(tokens.size())), place->at_end};
}

TEST(FindQuestion, AtTheEndOfTheUsersLastTurn) {
  const std::string turn = kProse + " Who counted the crates?";
  const Told all = told(kHead + "Who?" + kTurn + " He. " + kHead + turn + kTurn, turn);
  EXPECT_EQ(all.asked, " Who counted the crates?");
  EXPECT_EQ(all.tail, kTurn);
  EXPECT_TRUE(all.at_end);
}

TEST(FindQuestion, TheWholeOfAShortTurn) {
  const Told all = told("[system] " + kProse + " " + kHead + "Who counted?" + kTurn, "Who counted?");
  EXPECT_EQ(all.asked, " Who counted?");
  EXPECT_TRUE(all.at_end);
}

TEST(FindQuestion, BeforeTheText) {
  const std::string turn = "Summarize the following text.\n\n" + kProse + " " + kProse;
  const Told all = told(kHead + turn + kTurn, turn);
  EXPECT_EQ(all.asked, " Summarize the following text.");
  EXPECT_EQ(all.tail, kTurn);
  EXPECT_FALSE(all.at_end);
}

TEST(FindQuestion, AToolsAnswerBehindItMakesItAnEarlierOne) {
  const Told all = told(kHead + "Who counted?" + " [tool] " + kProse + kTurn, "Who counted?");
  EXPECT_EQ(all.asked, " Who counted?");
  EXPECT_EQ(tokens_of(all.tail).size(), 8U);
  EXPECT_FALSE(all.at_end);
}

TEST(FindQuestion, NoneInProseOrWhereTheTurnIsNotInThePrompt) {
  const std::string prose = kProse + " " + kProse;
  EXPECT_EQ(told(kHead + prose + kTurn, prose).asked, "");
  EXPECT_EQ(told(kHead + kProse + kTurn, "What is this?").asked, "");
  EXPECT_EQ(told(kHead + kProse + kTurn, "").asked, "") << "no user has spoken";
}

TEST(FindQuestion, ATextAsItStandsIsTheTurn) {
  const Told all = told(kProse + "\n\nQuestion: who counted?", std::nullopt);
  EXPECT_NE(all.asked.find("Question: who counted?"), std::string::npos) << all.asked;
  EXPECT_TRUE(all.at_end);
  EXPECT_EQ(all.tail, "");
}

}  // namespace
}  // namespace pmt::compression
