// The shared tier over a Redis Cluster of three real redis-server processes.
#include <array>
#include <future>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "redis/slots.h"
#include "redis/test_redis.h"
#include "response_cache/response_cache.h"
#include "response_cache/shared/redis_store.h"

namespace pmt::response_cache {
namespace {

using redis::in_ms;
using redis::Reply;
using redis::TestRedis;
using std::chrono::milliseconds;

template <class Condition>
bool within(milliseconds limit, Condition&& condition) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

struct Server {
  explicit Server(const TestRedis& seed) : cache({}, clock) {
    RedisOptions options;
    options.seed = seed.endpoint();
    options.timeout = milliseconds(5000);  // a busy machine is no broken Redis
    options.retry = milliseconds(100);
    options.drop = [this](const Filter& filter) { cache.tiers().purge(filter); };
    options.drop_if = [this](const auto& matches) { cache.tiers().purge_if(matches); };
    cache.tiers().set_shared(open_redis(options, clock));
  }
  bool is_up() const { return cache.tiers().shared()->stats().up; }
  bool has(int i) {
    std::promise<bool> got;
    cache.find_everywhere(
        base::sha256(std::to_string(i)), "",
        [&](const std::shared_ptr<const Entry>& entry) { got.set_value(entry != nullptr); });
    return got.get_future().get();
  }
  base::SystemClock clock;
  ResponseCache cache;
};

class RedisClusterTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!TestRedis::is_here()) GTEST_SKIP() << "no redis-server: apt-get install redis-server";
    signal(SIGPIPE, SIG_IGN);
    std::string create = "redis-cli --cluster create";
    for (auto& node : nodes) {
      node = std::make_unique<TestRedis>(
          std::vector<std::string>{"--cluster-enabled", "yes", "--cluster-node-timeout", "1000"});
      ASSERT_TRUE(node->runs());
      create += " " + node->endpoint().text();
    }
    create += " --cluster-yes >/dev/null";
    ASSERT_EQ(std::system(create.c_str()), 0);
    ASSERT_TRUE(within(milliseconds(20'000), [&] {
      redis::Link link({.seed = nodes[2]->endpoint(), .login = {}});
      const auto info = link.call({.words = {"CLUSTER", "INFO"}}, in_ms(1000));
      return info && info->text.find("cluster_state:ok") != std::string::npos &&
             link.masters(in_ms(1000)) == 3U;
    }));
  }
  Reply ask(std::size_t node, std::vector<std::string> words) {
    auto connection = redis::Connection::open(nodes[node]->endpoint(), {}, in_ms(1000));
    if (!connection) return {};
    return (*connection)->call(redis::Command{.words = std::move(words)}, in_ms(1000)).value_or(Reply{});
  }
  /// Which node answers for a slot, by asking it.
  std::size_t owner(std::uint32_t slot) {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const Reply mine = ask(i, {"CLUSTER", "NODES"});
      const auto at = mine.text.find("myself");
      const auto end = mine.text.find('\n', at);
      const auto range = mine.text.substr(0, end).rfind(' ');
      unsigned first = 0, last = 0;
      if (std::sscanf(mine.text.c_str() + range, " %u-%u", &first, &last) == 2 && first <= slot &&
          slot <= last)
        return i;
    }
    return nodes.size();
  }
  std::array<std::unique_ptr<TestRedis>, 3> nodes;
};

TEST_F(RedisClusterTest, TwoServersShareOverAllNodes) {
  Server a(*nodes[0]), b(*nodes[1]);
  ASSERT_TRUE(within(milliseconds(20'000), [&] { return a.is_up() && b.is_up(); }));
  constexpr int kEntries = 60;
  for (int i = 0; i < kEntries; ++i) {
    ASSERT_TRUE(
        a.cache.store(base::sha256(std::to_string(i)), Value{i}, {.tags = {i % 2 == 0 ? "even" : "odd"}}));
  }
  ASSERT_TRUE(
      within(milliseconds(20'000), [&] { return a.cache.tiers().shared()->stats().stores == kEntries; }));
  for (std::size_t i = 0; i < 3; ++i) EXPECT_GT(ask(i, {"DBSIZE"}).integer, 5);
  for (int i = 0; i < kEntries; ++i) EXPECT_TRUE(b.has(i)) << i;
  ASSERT_TRUE(within(milliseconds(20'000), [&] { return a.cache.tiers().shared()->stats().servers == 2; }));
  InvalidationReport report;
  a.cache.purge({.tag = "even"}, &report);
  EXPECT_EQ(report.reached, 2U);
  for (int i = 0; i < kEntries; ++i) EXPECT_EQ(b.has(i), i % 2 == 1) << i;
  // The sweep frees the memory on every node.
  EXPECT_TRUE(
      within(milliseconds(20'000), [&] { return a.cache.tiers().shared()->stats().swept == kEntries / 2; }));

  // A dead node: local only, nobody waits. Redis Cluster itself gives up without that node's slots.
  nodes[2]->send(SIGKILL);
  ASSERT_TRUE(within(milliseconds(10'000), [&] {
    for (int i = 0; i < kEntries && a.is_up(); ++i) (void)a.has(1000 + i);
    return !a.is_up();
  }));
  const auto skipped = a.cache.tiers().shared()->stats().skipped;
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(a.has(5000 + i));
  EXPECT_EQ(a.cache.tiers().shared()->stats().skipped, skipped + 1000) << "not asked, so not waited for";
  EXPECT_TRUE(a.has(1));  // from RAM
}

TEST_F(RedisClusterTest, MovedAndAskAreFollowed) {
  const std::string key = "key:{moving}";
  const std::uint32_t slot = redis::slot_of(key);
  const std::size_t from = owner(slot);
  ASSERT_LT(from, 3U);
  const std::size_t to = (from + 1) % 3;
  redis::Link link({.seed = nodes[to]->endpoint(), .login = {}});
  const redis::Command set{.words = {"SET", key, "v"}, .key = key}, get{.words = {"GET", key}, .key = key};
  ASSERT_EQ(link.call(set, in_ms(1000))->text, "OK");
  // A command without its key goes to the seed, which sends it on.
  EXPECT_EQ(link.call({.words = {"GET", key}}, in_ms(1000))->text, "v");

  const std::string number = std::to_string(slot), from_id = ask(from, {"CLUSTER", "MYID"}).text,
                    to_id = ask(to, {"CLUSTER", "MYID"}).text;
  ASSERT_EQ(ask(to, {"CLUSTER", "SETSLOT", number, "IMPORTING", from_id}).text, "OK");
  ASSERT_EQ(ask(from, {"CLUSTER", "SETSLOT", number, "MIGRATING", to_id}).text, "OK");
  ASSERT_EQ(ask(from, {"MIGRATE", "127.0.0.1", std::to_string(nodes[to]->port()), key, "0", "1000"}).text,
            "OK");
  ASSERT_NE(ask(from, {"GET", key}).text.find("ASK "), std::string::npos);
  EXPECT_EQ(link.call(get, in_ms(1000))->text, "v");
  for (std::size_t node : {to, from})
    ASSERT_EQ(ask(node, {"CLUSTER", "SETSLOT", number, "NODE", to_id}).text, "OK");
  ASSERT_NE(ask(from, {"GET", key}).text.find("MOVED "), std::string::npos);
  EXPECT_EQ(link.call(get, in_ms(1000))->text, "v");
}

}  // namespace
}  // namespace pmt::response_cache
