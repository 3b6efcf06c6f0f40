// Who gets which prompt, by a pool whose servers are never asked: documents, common system prompts, servers that go,
// and what caches behind it would reuse. What a pool does beside real servers: balanced_completer_test.cpp.
#include "upstream/server_pool.h"

#include <algorithm>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace pmt::upstream {
namespace {

constexpr std::size_t kKiB = 1024;

/// Letters, others for each seed.
std::string text(std::size_t bytes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string out(bytes, ' ');
  for (char& letter : out) letter = static_cast<char>('a' + random() % 26);
  return out;
}

void say(llm::Request& request, const char* role, std::string content) {
  request.messages.push_back(
      {.role = role, .content = std::move(content), .name = {}, .tool_calls = {}, .tool_call_id = {}});
}

/// What the pool is told of a request.
struct Prompt {
  std::uint64_t conversation = 0;
  std::vector<std::uint64_t> chain;
};

Prompt prompt_of(const llm::Request& request) {
  return {.conversation = conversation_of(request), .chain = chain_of(request)};
}

/// A system text, if any, and a question behind a document, in one message.
Prompt question(const std::string& system, const std::string& document, std::uint64_t number) {
  llm::Request request;
  request.model = "p/m";
  if (!system.empty()) say(request, "system", system);
  say(request, "user", document + " Question " + std::to_string(number));
  return prompt_of(request);
}

class ServerPoolTest : public testing::Test {
 protected:
  void TearDown() override {
    if (pool_) pool_->stop();
    client_->stop();
  }
  void make(std::size_t servers) {
    ServerPoolOptions options{.name = "p",
                              .servers = {},
                              .cooldown = {.failures = 1, .cooldown_s = kCooldownS},
                              .probe_interval_s = 1e6};
    for (std::size_t i = 0; i < servers; ++i) {
      const std::string url = "http://10.0.0." + std::to_string(i + 1) + ":8000/v1";
      options.servers.push_back({url, *net::parse_url(url)});
    }
    pool_ = std::make_unique<ServerPool>(std::move(options), *client_, clock_);
  }
  std::unique_ptr<ServerPool::Place> hold(const Prompt& prompt) {
    auto place = pool_->take({.conversation = prompt.conversation, .chain = prompt.chain});
    if (!place) {
      ADD_FAILURE() << place.error().message;
      return nullptr;
    }
    return std::make_unique<ServerPool::Place>(std::move(*place));
  }
  /// Who answers it at once.
  std::size_t asks(const Prompt& prompt) {
    const auto place = hold(prompt);
    return place ? place->server() : 0;
  }
  /// Where it would go if nothing had been sent to anybody.
  std::size_t home(const Prompt& prompt) const {
    std::vector<ServerLoad> servers;
    for (const PoolServer& server : pool_->options().servers)
      servers.push_back({.id = server_id(server.url.origin() + server.url.path)});
    return home_of(prompt.conversation, servers);
  }

  static constexpr double kCooldownS = 30;
  base::FakeClock clock_;
  // In this order: as in balanced_completer_test.cpp.
  std::unique_ptr<ServerPool> pool_;
  std::unique_ptr<net::AsyncClient> client_ = std::move(*net::AsyncClient::create({}));
};

TEST_F(ServerPoolTest, ManyQuestionsOnADocumentGoToOneServer) {
  make(3);
  std::set<std::size_t> used;
  for (std::uint64_t document = 0; document < 20; ++document) {
    const std::string said = text(16 * kKiB, document);
    const std::size_t first = asks(question("", said, 0));
    used.insert(first);
    for (std::uint64_t i = 1; i < 20; ++i) ASSERT_EQ(asks(question("", said, i)), first) << document;
  }
  EXPECT_EQ(used.size(), 3U) << "documents are spread";
}

TEST_F(ServerPoolTest, UpToTheBoundOfItsLoadAndThenOneOtherReadsItToo) {
  make(3);
  const std::string document = text(16 * kKiB, 1);
  std::vector<std::unique_ptr<ServerPool::Place>> running;
  std::vector<std::size_t> order;
  for (std::uint64_t i = 0; i < 12; ++i) {
    running.push_back(hold(question("", document, i)));
    ASSERT_TRUE(running.back());
    order.push_back(running.back()->server());
  }
  const auto runs = [&order](std::size_t from) { return std::vector<std::size_t>(4, order[from]); };
  EXPECT_EQ(std::vector<std::size_t>(order.begin(), order.begin() + 4), runs(0));
  EXPECT_EQ(std::vector<std::size_t>(order.begin() + 4, order.begin() + 8), runs(4));
  EXPECT_EQ((std::set<std::size_t>{order[0], order[4], order[8]}.size()), 3U);
  for (const ServerStatus& server : pool_->status()) EXPECT_LE(server.in_flight, 5) << "1.25 times the mean";
}

TEST_F(ServerPoolTest, AConversationStaysAtHome) {
  make(3);
  std::map<std::size_t, int> homes;
  for (std::uint64_t i = 0; i < 60; ++i) {
    llm::Request talk;
    say(talk, "system", text(2 * kKiB, 7));
    say(talk, "user", text(4 * kKiB, 1000 + i));
    const std::size_t at = home(prompt_of(talk));
    ++homes[at];
    for (std::uint64_t turn = 0; turn < 4; ++turn) {
      ASSERT_EQ(asks(prompt_of(talk)), at);
      say(talk, "assistant", text(kKiB, 10'000 + 10 * i + turn));
      say(talk, "user", "And then?");
    }
  }
  EXPECT_EQ(homes.size(), 3U);
}

TEST_F(ServerPoolTest, WhatAllPromptsBeginWithDrawsThemNowhere) {
  // Less than half of each: it is no reason at all.
  make(3);
  const std::string system = text(4 * kKiB, 1);
  for (std::uint64_t i = 0; i < 60; ++i) {
    const Prompt prompt = question(system, text(5 * kKiB, 100 + i), i);
    ASSERT_EQ(asks(prompt), home(prompt));
  }
  // Most of each: at first it looks like a document, until so many have asked. Nobody is busy, ever.
  pool_->stop();
  make(3);
  const std::string longer = text(20 * kKiB, 2);
  std::vector<int> count(3);
  constexpr int kRequests = 600;
  for (std::uint64_t i = 0; i < kRequests; ++i) ++count[asks(question(longer, "", i))];
  for (const int each : count) EXPECT_GE(each, kRequests / 5);
  // And then it's as if nobody had been sent it.
  for (std::uint64_t i = 0; i < 60; ++i) {
    const Prompt prompt = question(longer, "", 10'000 + i);
    ASSERT_EQ(asks(prompt), home(prompt));
  }
}

TEST_F(ServerPoolTest, AServerThatGoesCostsItsDocumentsAndNoOthers) {
  make(4);
  constexpr std::uint64_t kDocuments = 40;
  std::vector<std::string> documents;
  std::vector<std::size_t> first, then;
  for (std::uint64_t i = 0; i < kDocuments; ++i) {
    documents.push_back(text(8 * kKiB, i));
    first.push_back(asks(question("", documents[i], 0)));
  }
  const std::size_t gone = first[0];
  hold(question("", documents[0], 1))->failed({base::Code::kUnavailable, "gone"});
  ASSERT_TRUE(pool_->status()[gone].down);
  for (std::uint64_t i = 0; i < kDocuments; ++i) {
    then.push_back(asks(question("", documents[i], 2)));
    if (first[i] == gone) {
      EXPECT_NE(then[i], gone);
    } else {
      EXPECT_EQ(then[i], first[i]) << i;
    }
  }
  // It comes back with nothing, whatever it had before: who moved stays.
  clock_.advance(std::chrono::seconds(2 * static_cast<int>(kCooldownS)));
  for (std::uint64_t i = 0; i < kDocuments; ++i) {
    for (std::uint64_t more = 3; more < 6; ++more)
      EXPECT_EQ(asks(question("", documents[i], more)), then[i]) << i;
  }
  std::set<std::size_t> used;
  for (std::uint64_t i = 0; i < 40; ++i) used.insert(asks(question("", text(8 * kKiB, 1000 + i), 0)));
  EXPECT_TRUE(used.contains(gone)) << "new ones come";
}

TEST_F(ServerPoolTest, ADrainedServerLosesItsClaimForGood) {
  make(3);
  const std::string document = text(8 * kKiB, 1);
  const std::size_t first = asks(question("", document, 0));
  const std::string& url = pool_->options().servers[first].text;
  ASSERT_TRUE(pool_->set_draining(url, true));
  const std::size_t then = asks(question("", document, 1));
  EXPECT_NE(then, first);
  ASSERT_TRUE(pool_->set_draining(url, false));
  for (std::uint64_t i = 2; i < 22; ++i) EXPECT_EQ(asks(question("", document, i)), then);
}

/// A server's prefixes: the least recently used block goes first, and of a prompt the last.
class PrefixCache {
 public:
  explicit PrefixCache(std::size_t blocks_max) : blocks_max_(blocks_max) {}

  /// Blocks that needn't be read anew.
  std::size_t read(const std::vector<std::uint64_t>& chain) {
    std::size_t reused = 0;
    while (reused < chain.size() && places_.contains(chain[reused])) ++reused;
    for (auto block = chain.rbegin(); block != chain.rend(); ++block) {
      if (const auto place = places_.find(*block); place != places_.end()) order_.erase(place->second);
      order_.push_front(*block);
      places_[*block] = order_.begin();
    }
    while (order_.size() > blocks_max_) {
      places_.erase(order_.back());
      order_.pop_back();
    }
    return reused;
  }

 private:
  const std::size_t blocks_max_;
  std::list<std::uint64_t> order_;  // the most recently used first
  std::unordered_map<std::uint64_t, std::list<std::uint64_t>::iterator> places_;
};

/// Agents of three applications: a system text of 8 KiB each, 2 KiB more with each turn.
std::vector<Prompt> agents(std::mt19937_64& random) {
  constexpr std::size_t kAgents = 100, kTurns = 6, kApplications = 3;
  std::vector<llm::Request> talks(kAgents);
  std::vector<std::size_t> going(kAgents), turns(kAgents);
  for (std::size_t i = 0; i < kAgents; ++i) {
    say(talks[i], "system", text(8 * kKiB, i % kApplications));
    going[i] = i;
  }
  std::vector<Prompt> out;
  while (!going.empty()) {
    std::swap(going[random() % going.size()], going.back());
    const std::size_t at = going.back();
    say(talks[at], "user", text(kKiB, random()));
    out.push_back(prompt_of(talks[at]));
    say(talks[at], "assistant", text(kKiB, random()));
    if (++turns[at] == kTurns) going.pop_back();
  }
  return out;
}

/// Questions on documents of 12 KiB, all behind one system text of 4 KiB.
std::vector<Prompt> questions(std::mt19937_64& random) {
  constexpr std::uint64_t kDocuments = 60, kQuestions = 8;
  const std::string system = text(4 * kKiB, random());
  std::vector<Prompt> out;
  for (std::uint64_t i = 0; i < kDocuments; ++i) {
    const std::string document = text(12 * kKiB, random());
    for (std::uint64_t k = 0; k < kQuestions; ++k) out.push_back(question(system, document, k));
  }
  std::shuffle(out.begin(), out.end(), random);
  return out;
}

constexpr std::size_t kSimulated = 4, kAtOnce = 6;

/// Blocks reused by servers that have room for so many each, if `choose` says which gets a prompt.
template <class Choose>
double reused(const std::vector<Prompt>& prompts, std::size_t room, Choose&& choose) {
  std::vector<PrefixCache> caches(kSimulated, PrefixCache(room));
  std::size_t out = 0;
  for (const Prompt& prompt : prompts) out += caches[choose(prompt)].read(prompt.chain);
  return static_cast<double>(out);
}

struct Reuse {
  double by_pool = 0, in_turn = 0;  // of what one server alone reuses
};

class PrefixReuse : public ServerPoolTest {
 protected:
  /// One alone has room for all that is read, each of several for half of it.
  Reuse measure(const std::vector<Prompt>& prompts, std::mt19937_64& random) {
    std::set<std::uint64_t> blocks;
    for (const Prompt& prompt : prompts) blocks.insert(prompt.chain.begin(), prompt.chain.end());
    const std::size_t room = blocks.size() / 2;
    make(kSimulated);
    std::vector<std::unique_ptr<ServerPool::Place>> running(kAtOnce);
    const double by_pool = reused(prompts, room, [&](const Prompt& prompt) {
      auto& place = running[random() % kAtOnce];
      place.reset();
      place = hold(prompt);
      return place->server();
    });
    std::size_t turn = 0;
    const double in_turn = reused(prompts, room, [&turn](const Prompt&) { return turn++ % kSimulated; });
    const double alone = reused(prompts, blocks.size(), [](const Prompt&) { return std::size_t{0}; });
    return {.by_pool = by_pool / alone, .in_turn = in_turn / alone};
  }
};

TEST_F(PrefixReuse, OfAgentsIsThatOfOneServerAlone) {
  for (const unsigned seed : {1U, 2U, 3U}) {
    std::mt19937_64 random(seed);
    const Reuse reuse = measure(agents(random), random);
    EXPECT_GE(reuse.by_pool, 0.9) << seed;
    EXPECT_GT(reuse.by_pool, reuse.in_turn + 0.05) << seed;
    pool_->stop();
  }
}

TEST_F(PrefixReuse, OfQuestionsOnDocumentsIsNearlyThatOfOneServerAlone) {
  for (const unsigned seed : {1U, 2U, 3U}) {
    std::mt19937_64 random(seed);
    const Reuse reuse = measure(questions(random), random);
    EXPECT_GE(reuse.by_pool, 0.9) << seed;
    EXPECT_GT(reuse.by_pool, reuse.in_turn + 0.1) << seed;
    pool_->stop();
  }
}

}  // namespace
}  // namespace pmt::upstream
