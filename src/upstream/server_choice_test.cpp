// The policy alone: what moves when a server goes, how full a server gets, what a conversation is.
#include "upstream/server_choice.h"

#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace pmt::upstream {
namespace {

constexpr int kConversations = 20'000;

std::vector<ServerLoad> servers(int count) {
  std::vector<ServerLoad> out;
  for (int i = 0; i < count; ++i) {
    out.push_back({.id = server_id("http://10.0.0." + std::to_string(i) + ":8000/v1")});
  }
  return out;
}

llm::Message said(const char* role, const std::string& content) {
  return {.role = role, .content = content, .name = {}, .tool_calls = {}, .tool_call_id = {}};
}

llm::Request request(int conversation) {
  llm::Request out;
  out.tenant = "acme";
  out.model = "u/m";
  out.messages = {said("system", "You are brief."), said("user", "Question " + std::to_string(conversation))};
  return out;
}

std::uint64_t conversation(int number) {
  return conversation_of(request(number));
}

std::size_t choose(std::uint64_t of, const std::vector<ServerLoad>& among,
                   const ChoiceOptions& options = {}) {
  return choose_server(options, {.conversation = of}, among).value_or(among.size());
}

TEST(ServerChoice, AllTurnsOfAConversationHaveOneNameAndOthersAnother) {
  const std::uint64_t first = conversation(1);
  llm::Request later = request(1);
  for (int turn = 2; turn <= 6; ++turn) {
    later.messages.push_back(said("assistant", "Answer"));
    later.messages.push_back(said("user", "And then? " + std::to_string(turn)));
    EXPECT_EQ(conversation_of(later), first) << turn;
  }
  later.sampling.temperature = 0;
  later.id = "another";
  EXPECT_EQ(conversation_of(later), first);

  EXPECT_NE(conversation(2), first);
  llm::Request other = request(1);
  other.tenant = "else";
  EXPECT_NE(conversation_of(other), first);
  other = request(1);
  other.model = "u/n";
  EXPECT_NE(conversation_of(other), first);
  other = request(1);
  other.messages[0].content += " ";
  EXPECT_NE(conversation_of(other), first);
  other = request(1);
  other.messages[1].more = R"("content":[{"type":"image_url"}])";
  EXPECT_NE(conversation_of(other), first);
  // The same letters, cut into messages elsewhere.
  other = request(1);
  other.messages = {said("system", "You are brief.Q"), said("user", "uestion 1")};
  EXPECT_NE(conversation_of(other), first);
}

TEST(ServerChoice, ACallOfAToolEndsTheBeginningToo) {
  llm::Request first = request(1), later = request(1);
  later.messages.push_back(said("assistant", ""));
  later.messages.push_back(said("tool", "42"));
  EXPECT_EQ(conversation_of(later), conversation_of(first));
  // An answer that stands in front of the first question is a part of the prompt.
  llm::Request greeted = request(1);
  greeted.messages.insert(greeted.messages.begin() + 1, said("assistant", "Hello!"));
  llm::Request greeted_else = greeted;
  greeted_else.messages.back().content = "Another";
  EXPECT_NE(conversation_of(greeted), conversation_of(greeted_else));
}

TEST(ServerChoice, ATextGrowsBehindItsBeginning) {
  llm::Request text;
  text.endpoint = llm::Endpoint::kCompletions;
  text.prompt = std::string(1024, 'a');
  llm::Request longer = text;
  longer.prompt += "and more";
  EXPECT_EQ(conversation_of(longer), conversation_of(text));
  longer.prompt[5] = 'b';
  EXPECT_NE(conversation_of(longer), conversation_of(text));
  llm::Request tokens;
  tokens.endpoint = llm::Endpoint::kCompletions;
  tokens.prompt_tokens.assign(256, 7);
  llm::Request more = tokens;
  more.prompt_tokens.push_back(8);
  EXPECT_EQ(conversation_of(more), conversation_of(tokens));
  more.prompt_tokens[0] = 8;
  EXPECT_NE(conversation_of(more), conversation_of(tokens));
}

TEST(ServerChoice, EachServerGetsItsShareTheSameEveryTimeAndInAnyOrderOfTheList) {
  const auto three = servers(3);
  std::vector<ServerLoad> turned(three.rbegin(), three.rend());
  std::vector<int> count(3);
  for (int i = 0; i < kConversations; ++i) {
    const std::size_t at = choose(conversation(i), three);
    ASSERT_LT(at, 3U);
    ++count[at];
    EXPECT_EQ(choose(conversation(i), three), at);
    EXPECT_EQ(turned[choose(conversation(i), turned)].id, three[at].id);
    EXPECT_EQ(home_of(conversation(i), three), at);
  }
  for (const int each : count) EXPECT_NEAR(each, kConversations / 3.0, 0.03 * kConversations);
}

TEST(ServerChoice, AServerThatGoesTakesItsOwnShareAlongAndNothingElse) {
  const auto all = servers(5);
  auto less = all;
  less[2].takes = false;
  const std::vector<ServerLoad> shorter = {all[0], all[1], all[3], all[4]};
  int moved = 0;
  std::map<std::size_t, int> gone_to;
  for (int i = 0; i < kConversations; ++i) {
    const std::size_t before = choose(conversation(i), all), after = choose(conversation(i), less);
    EXPECT_NE(after, 2U);
    EXPECT_EQ(shorter[choose(conversation(i), shorter)].id, all[after].id)
        << "out of the list, or down: alike";
    if (before != 2) {
      ASSERT_EQ(after, before) << i;
      continue;
    }
    ++moved;
    ++gone_to[after];
  }
  EXPECT_LE(moved, kConversations * 22 / 100);
  EXPECT_GE(moved, kConversations * 18 / 100);
  ASSERT_EQ(gone_to.size(), 4U) << "spread over all that are left";
  for (const auto& [server, count] : gone_to) EXPECT_NEAR(count, moved / 4.0, 0.15 * moved);
}

TEST(ServerChoice, LoadIsBounded) {
  const ChoiceOptions options{.load_max = 1.25, .in_flight_free = 1};
  std::mt19937_64 random(7);
  for (const int running : {30, 300, 3000}) {
    auto all = servers(6);
    std::vector<std::size_t> where;
    for (int step = 0; step < 20 * running; ++step) {
      // A few conversations make most of the requests: by hashing alone their servers would drown.
      const int hot = static_cast<int>(random() % 4), any = static_cast<int>(random() % 1000);
      const std::size_t at = choose(conversation(random() % 2 == 0 ? hot : any), all, options);
      ASSERT_LT(at, all.size());
      ++all[at].in_flight;
      where.push_back(at);
      const double mean = static_cast<double>(where.size()) / static_cast<double>(all.size());
      EXPECT_LE(static_cast<double>(all[at].in_flight), std::ceil(1.25 * mean));
      if (where.size() < static_cast<std::size_t>(running)) continue;
      const std::size_t ends = random() % where.size();
      --all[where[ends]].in_flight;
      where.erase(where.begin() + static_cast<std::ptrdiff_t>(ends));
    }
  }
}

TEST(ServerChoice, AFewRequestsAreNoLoad) {
  auto all = servers(3);
  const std::size_t home = home_of(conversation(1), all);
  all[home].in_flight = 3;  // 2.25 times the mean with this one, and yet
  EXPECT_EQ(choose(conversation(1), all), home);
  all[home].in_flight = 4;
  EXPECT_NE(choose(conversation(1), all), home);
}

TEST(ServerChoice, AConversationStaysWhereItWasLastWhileThatTakesIt) {
  auto all = servers(3);
  const std::size_t home = home_of(conversation(1), all), last = (home + 1) % 3;
  const Wanted wanted{.conversation = conversation(1), .last = last};
  EXPECT_EQ(choose_server({}, wanted, all), last);
  all[last].takes = false;
  EXPECT_EQ(choose_server({}, wanted, all), home);
  all[last].takes = true;
  all[last].in_flight = 100;
  EXPECT_EQ(choose_server({}, wanted, all), home);
  EXPECT_EQ(choose_server({}, {.conversation = conversation(1), .last = 9}, all), home);
}

TEST(ServerChoice, WhoHoldsHalfOfThePromptGetsIt) {
  auto all = servers(3);
  const std::size_t home = home_of(conversation(1), all), reader = (home + 1) % 3;
  const std::vector<Held> held(4, Held{.servers = std::uint64_t{1} << reader, .uses = 1});
  Wanted wanted{.conversation = conversation(1), .blocks = 8, .held = held};
  EXPECT_EQ(choose_server({}, wanted, all), reader);
  wanted.blocks = 9;
  EXPECT_EQ(choose_server({}, wanted, all), home) << "less than half";
  wanted.blocks = 4;
  all[reader].in_flight = 4;
  EXPECT_EQ(choose_server({}, wanted, all), home) << "its load is bounded";
  all[reader].in_flight = 0;
  all[reader].takes = false;
  EXPECT_EQ(choose_server({}, wanted, all), home);
}

TEST(ServerChoice, TheLongestBeginningCountsOfThoseThatTakeIt) {
  auto all = servers(3);
  // Server 0 has 6 of the 6 blocks, server 1 has 3, server 2 has 2.
  std::vector<Held> held(6, Held{.servers = 1, .uses = 1});
  for (std::size_t i = 0; i < 3; ++i) held[i].servers |= 2;
  for (std::size_t i = 0; i < 2; ++i) held[i].servers |= 4;
  for (int i = 0; i < 50; ++i) {
    const Wanted wanted{.conversation = conversation(i), .blocks = 6, .held = held};
    all[0].takes = true;
    EXPECT_EQ(choose_server({}, wanted, all), 0U);
    all[0].takes = false;
    EXPECT_EQ(choose_server({}, wanted, all), 1U);
    all[1].takes = false;
    EXPECT_EQ(choose_server({}, wanted, all), 2U) << "a third isn't half, but nobody else takes it";
    all[1].takes = true;
  }
}

TEST(ServerChoice, OfEqualReadersTheOneWhereTheConversationIsThenTheNearestToItsHome) {
  const auto all = servers(3);
  const std::vector<Held> held(4, Held{.servers = 7, .uses = 1});
  for (int i = 0; i < 50; ++i) {
    const std::size_t home = home_of(conversation(i), all);
    const Wanted wanted{.conversation = conversation(i), .blocks = 4, .held = held};
    EXPECT_EQ(choose_server({}, wanted, all), home);
    const Wanted moved{.conversation = conversation(i), .last = (home + 1) % 3, .blocks = 4, .held = held};
    EXPECT_EQ(choose_server({}, moved, all), (home + 1) % 3);
  }
  // Where it was last, but with less of it there.
  const std::size_t home = home_of(conversation(1), all), last = (home + 1) % 3;
  const std::vector<Held> at_home(4, Held{.servers = std::uint64_t{1} << home, .uses = 1});
  EXPECT_EQ(
      choose_server({}, {.conversation = conversation(1), .last = last, .blocks = 4, .held = at_home}, all),
      home);
}

TEST(ServerChoice, ABeginningThatIsSentAllTheTimeIsNoClaim) {
  const auto all = servers(3);
  const std::size_t home = home_of(conversation(1), all), reader = (home + 1) % 3;
  const std::uint64_t one = std::uint64_t{1} << reader, two = one | std::uint64_t{1} << (home + 2) % 3;
  const auto chosen = [&](Held each) {
    const std::vector<Held> held(4, each);
    return choose_server({}, {.conversation = conversation(1), .blocks = 4, .held = held}, all);
  };
  EXPECT_EQ(chosen({.servers = one, .uses = kUsesEach - 1}), reader);
  EXPECT_EQ(chosen({.servers = one, .uses = kUsesEach}), home);
  EXPECT_NE(chosen({.servers = two, .uses = 2 * kUsesEach - 1}), home);
  EXPECT_EQ(chosen({.servers = two, .uses = 2 * kUsesEach}), home);
}

TEST(ServerChoice, LeastBusyAsksTheFewestAndSpreadsEquals) {
  auto all = servers(3);
  const ChoiceOptions options{.balance = Balance::kLeastBusy};
  std::vector<int> count(3);
  for (int i = 0; i < 3000; ++i) ++count[choose(conversation(i), all, options)];
  for (const int each : count) EXPECT_NEAR(each, 1000, 120);
  all[0].in_flight = 2;
  all[1].in_flight = 1;
  all[2].in_flight = 5;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(choose(conversation(i), all, options), 1U);
  all[1].takes = false;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(choose(conversation(i), all, options), 0U);
}

TEST(ServerChoice, NobodyWhereNobodyTakesAny) {
  auto all = servers(2);
  for (ServerLoad& server : all) server.takes = false;
  for (const Balance balance : {Balance::kPrefix, Balance::kLeastBusy}) {
    EXPECT_EQ(choose_server({.balance = balance}, {.conversation = 1, .last = 0}, all), std::nullopt);
    EXPECT_EQ(choose_server({.balance = balance}, {.conversation = 1}, {}), std::nullopt);
  }
}

}  // namespace
}  // namespace pmt::upstream
