// What two prompts' chains have in common, and how long it is remembered who was sent what.
#include "upstream/sent_prefixes.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace pmt::upstream {
namespace {

using Blocks = std::vector<std::uint64_t>;

llm::Message said(const char* role, const std::string& content) {
  return {.role = role, .content = content, .name = {}, .tool_calls = {}, .tool_call_id = {}};
}

llm::Request asks(std::vector<llm::Message> messages) {
  llm::Request out;
  out.tenant = "acme";
  out.model = "u/m";
  out.messages = std::move(messages);
  return out;
}

/// Blocks that both begin with.
std::size_t common(const llm::Request& a, const llm::Request& b) {
  const Blocks one = chain_of(a), other = chain_of(b);
  const auto part = std::mismatch(one.begin(), one.end(), other.begin(), other.end());
  return static_cast<std::size_t>(part.first - one.begin());
}

std::string document(std::size_t blocks, char letter = 'd') {
  return std::string(blocks * kPromptBlockBytes, letter);
}

TEST(PromptChain, ALaterTurnBeginsWithAllOfTheEarlierOne) {
  llm::Request talk = asks({said("system", document(3)), said("user", "Why?")});
  EXPECT_EQ(chain_of(talk).size(), 3U);
  for (int turn = 2; turn < 6; ++turn) {
    const llm::Request before = talk;
    talk.messages.push_back(said("assistant", document(1, static_cast<char>('a' + turn))));
    talk.messages.push_back(said("user", "And then?"));
    EXPECT_EQ(common(before, talk), chain_of(before).size());
    EXPECT_GT(chain_of(talk).size(), chain_of(before).size());
  }
  EXPECT_TRUE(chain_of(asks({said("user", "short")})).empty());
  EXPECT_TRUE(chain_of(llm::Request{}).empty());
}

TEST(PromptChain, QuestionsOnOneDocumentShareItWhereverTheyStand) {
  const llm::Request after = asks({said("user", document(4)), said("user", document(2, 'x'))}),
                     after_else = asks({said("user", document(4)), said("user", document(2, 'y'))});
  EXPECT_EQ(common(after, after_else), 4U);
  // In the document's own message, and of another length.
  const llm::Request within = asks({said("user", document(4) + document(2, 'x'))}),
                     within_else = asks({said("user", document(4) + document(3, 'y'))});
  EXPECT_EQ(common(within, within_else), 4U);
}

TEST(PromptChain, WhatIsAnotherPromptHasNothingInCommon) {
  const llm::Request one = asks({said("user", document(4))});
  llm::Request other = one;
  other.tenant = "else";
  EXPECT_EQ(common(one, other), 0U);
  other = one;
  other.model = "u/n";
  EXPECT_EQ(common(one, other), 0U);
  other = one;
  other.messages[0].role = "system";
  EXPECT_EQ(common(one, other), 0U);
  other = one;
  other.messages[0].content[3 * kPromptBlockBytes - 100] = 'e';
  EXPECT_EQ(common(one, other), 2U);
  // Equal blocks at other places are other beginnings.
  other = asks({said("user", "e" + document(4).substr(1))});
  EXPECT_EQ(common(one, other), 0U);
  EXPECT_NE(chain_of(one)[2], chain_of(other)[2]);
}

TEST(PromptChain, CallsOfToolsTellApart) {
  llm::Request one = asks({said("user", "Look it up."), said("assistant", ""), said("tool", document(3))});
  one.messages[1].tool_calls.push_back({.name = "look", .arguments = R"({"for": "a"})", .sent = {}});
  llm::Request other = one;
  EXPECT_EQ(common(one, other), 3U);
  other.messages[1].tool_calls[0].arguments = R"({"for": "b"})";
  EXPECT_EQ(common(one, other), 0U);
  other = one;
  other.messages[0].more = R"("content":[{"type":"image_url"}])";
  EXPECT_EQ(common(one, other), 0U);
}

TEST(PromptChain, OfATextAndOfTokens) {
  llm::Request text;
  text.endpoint = llm::Endpoint::kCompletions;
  text.prompt = document(2);
  llm::Request longer = text;
  longer.prompt += document(2, 'x');
  EXPECT_EQ(common(text, longer), 2U);
  EXPECT_EQ(chain_of(longer).size(), 4U);
  llm::Request tokens;
  tokens.endpoint = llm::Endpoint::kCompletions;
  tokens.prompt_tokens.assign(3 * kPromptBlockBytes / sizeof(std::int32_t), 7);
  llm::Request other = tokens;
  other.prompt_tokens.back() = 8;
  EXPECT_EQ(chain_of(tokens).size(), 3U);
  EXPECT_EQ(common(tokens, other), 2U);
}

TEST(PromptChain, IsBounded) {
  const llm::Request one = asks({said("user", document(kPromptBlocksMax) + document(5, 'x'))});
  EXPECT_EQ(chain_of(one).size(), kPromptBlocksMax);
}

std::vector<std::uint64_t> servers_of(const SentPrefixes& sent, const Blocks& chain) {
  std::vector<std::uint64_t> out;
  for (const Held& held : sent.held(chain)) out.push_back(held.servers);
  return out;
}

TEST(SentPrefixes, SaysWhoWasSentWhichBeginningAndHowOften) {
  constexpr std::uint64_t kLastBit = std::uint64_t{1} << 63;
  SentPrefixes sent;
  EXPECT_TRUE(sent.held(Blocks{1, 2, 3}).empty());
  sent.sent(Blocks{1, 2}, 0);
  sent.sent(Blocks{1, 2, 3}, 63);
  EXPECT_EQ(servers_of(sent, {1, 2, 3, 4}),
            (std::vector<std::uint64_t>{1 | kLastBit, 1 | kLastBit, kLastBit}));
  EXPECT_EQ(sent.held(Blocks{1, 2, 3})[1].uses, 2U);
  EXPECT_EQ(sent.held(Blocks{1, 2, 3})[2].uses, 1U);
  EXPECT_TRUE(sent.held(Blocks{9, 2, 3}).empty()) << "a beginning ends at the first that nobody has";
}

TEST(SentPrefixes, AConversationIsWhereItMovedLast) {
  SentPrefixes sent;
  EXPECT_EQ(sent.place_of(5), std::nullopt);
  sent.moved(5, 2);
  sent.moved(5, 1);
  EXPECT_EQ(sent.place_of(5), 1U);
}

TEST(SentPrefixes, AServerThatIsForgottenHoldsNothingAndOthersHoldTheirs) {
  SentPrefixes sent;
  sent.sent(Blocks{1, 2}, 0);
  sent.sent(Blocks{1}, 1);
  sent.moved(7, 0);
  sent.moved(8, 1);
  sent.forget(0);
  EXPECT_EQ(servers_of(sent, {1, 2}), std::vector<std::uint64_t>{2});
  EXPECT_EQ(sent.place_of(7), std::nullopt);
  EXPECT_EQ(sent.place_of(8), 1U);
  EXPECT_EQ(sent.size(), 2U);
}

TEST(SentPrefixes, WhatIsUsedStaysAndTheRestGoesWithItsGeneration) {
  SentPrefixes sent(4);
  sent.sent(Blocks{1, 2}, 0);
  sent.sent(Blocks{1, 2}, 1);
  std::uint64_t next = 100;
  const auto fill = [&] {
    for (int i = 0; i < 3; ++i) sent.sent(Blocks{next++}, 0);
  };
  fill();  // the second generation has begun
  EXPECT_EQ(servers_of(sent, {1, 2}), (std::vector<std::uint64_t>{3, 3}));
  for (int i = 0; i < 5; ++i) {
    sent.sent(Blocks{1}, 1);
    fill();
  }
  EXPECT_EQ(servers_of(sent, {1, 2}), std::vector<std::uint64_t>{2}) << "only server 1 was sent it of late";
}

TEST(SentPrefixes, IsBounded) {
  constexpr std::size_t kMax = 100;
  SentPrefixes sent(kMax);
  for (std::uint64_t i = 0; i < 5000; ++i) {
    sent.sent(Blocks{3 * i, 3 * i + 1}, i % 3);
    sent.moved(3 * i + 2, i % 3);
    ASSERT_LE(sent.size(), 2 * kMax);
  }
  EXPECT_GE(sent.size(), kMax);
  EXPECT_EQ(sent.held(Blocks{3 * 4999, 3 * 4999 + 1}).size(), 2U);
  EXPECT_TRUE(sent.held(Blocks{0, 1}).empty());
}

}  // namespace
}  // namespace pmt::upstream
