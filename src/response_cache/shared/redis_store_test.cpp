// Two servers' caches over the real redis-server.
#include "response_cache/shared/redis_store.h"

#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "llm/sinks.h"
#include "redis/test_redis.h"
#include "response_cache/cached_completer.h"
#include "response_cache/scripted_completer.h"
#include "response_cache/shared/shared_value.h"

namespace pmt::response_cache {
namespace {

using redis::in_ms;
using redis::TestRedis;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::HasSubstr;

template <class Condition>
bool within(milliseconds limit, Condition&& condition) {
  const auto end = steady_clock::now() + limit;
  while (!condition()) {
    if (steady_clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

/// One server's cache.
struct Server {
  explicit Server(const TestRedis& redis, RedisOptions options = {}) : cache({}, clock) {
    options.seed = redis.endpoint();
    options.retry = milliseconds(50);
    // A busy machine must not look like a Redis that hangs: each server would go on alone.
    if (options.timeout == RedisOptions{}.timeout) options.timeout = milliseconds(20'000);
    options.drop = [this](const Filter& filter) { cache.tiers().purge(filter); };
    options.drop_if = [this](const auto& matches) { cache.tiers().purge_if(matches); };
    options.on_warning = [this](const std::string& text) {
      const std::lock_guard lock(mutex);
      warnings += text + "\n";
    };
    cache.tiers().set_shared(open_redis(options, clock));
  }
  bool is_up() const { return cache.tiers().shared()->stats().up; }
  bool comes_up() const {
    return within(milliseconds(20'000), [&] { return is_up(); });
  }
  std::optional<nlohmann::json> get(const char* name) {
    std::promise<std::optional<nlohmann::json>> got;
    cache.find_everywhere(base::sha256(name), "", [&](const std::shared_ptr<const Entry>& entry) {
      got.set_value(entry ? std::optional(std::get<nlohmann::json>(entry->value.content)) : std::nullopt);
    });
    return got.get_future().get();
  }
  void put(const char* name, nlohmann::json value, StoreOptions options = {}) {
    ASSERT_TRUE(cache.store(base::sha256(name), Value{std::move(value)}, std::move(options)));
  }
  SharedStats stats() const { return cache.tiers().shared()->stats(); }
  std::string told() {
    const std::lock_guard lock(mutex);
    return warnings;
  }

  base::SystemClock clock;
  std::mutex mutex;
  std::string warnings;
  ResponseCache cache;
};

class RedisStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!TestRedis::is_here()) GTEST_SKIP() << "no redis-server: apt-get install redis-server";
    redis = std::make_unique<TestRedis>();
    ASSERT_TRUE(redis->runs());
  }
  redis::Reply ask(std::vector<std::string> words) {
    redis::Link link({.seed = redis->endpoint(), .login = {}});
    auto reply = link.call({.words = std::move(words)}, in_ms(1000));
    EXPECT_TRUE(reply) << reply.error().message;
    return reply ? *reply : redis::Reply{};
  }
  std::size_t count_values() { return ask({"KEYS", "permutation:v:*"}).items.size(); }
  bool stored(const Server& server, std::uint64_t count) {
    return within(milliseconds(20'000), [&] { return server.stats().stores >= count; });
  }
  std::unique_ptr<TestRedis> redis;
};

TEST_F(RedisStoreTest, TwoServersShareHits) {
  Server a(*redis), b(*redis);
  ASSERT_TRUE(a.comes_up() && b.comes_up());
  EXPECT_EQ(b.get("x"), std::nullopt);
  a.put("x", {{"n", 1}}, {.tokens = 7, .tags = {"t"}});
  ASSERT_TRUE(stored(a, 1));
  EXPECT_EQ(b.get("x"), nlohmann::json({{"n", 1}}));
  EXPECT_EQ(b.stats().hits, 1U);
  EXPECT_EQ(b.cache.stats().hits, 1U);
  EXPECT_EQ(b.cache.stats().misses, 1U);  // the first
  EXPECT_EQ(b.cache.stats().tokens_saved, 7);
  redis->send(SIGKILL);
  EXPECT_EQ(b.get("x"), nlohmann::json({{"n", 1}}));  // from RAM by now
}

TEST_F(RedisStoreTest, WhoLooksIsNoLookupThereEither) {
  Server a(*redis), b(*redis);
  ASSERT_TRUE(a.comes_up() && b.comes_up());
  a.put("x", {{"n", 1}}, {.tokens = 7});
  ASSERT_TRUE(stored(a, 1));
  for (const char* name : {"x", "none"}) {
    std::promise<bool> seen;
    b.cache.look(base::sha256(name), [&](const EntryPtr& entry) { seen.set_value(entry != nullptr); });
    EXPECT_EQ(seen.get_future().get(), name == std::string("x"));
  }
  EXPECT_EQ(b.stats().hits + b.stats().misses, 0U);
  EXPECT_EQ(b.cache.stats().hits + b.cache.stats().misses, 0U);
  EXPECT_EQ(b.cache.stats().entries, 0U) << "and nothing was brought here";
}

TEST_F(RedisStoreTest, AnInvalidationThatReturnedHoldsEverywhere) {
  Server a(*redis), b(*redis);
  ASSERT_TRUE(a.comes_up() && b.comes_up());
  const auto fill = [&] {
    const auto before = a.stats().stores;
    a.put("x", 1, {.tenant = "one", .name_space = "n", .model = "m", .tags = {"t", "u"}});
    ASSERT_TRUE(stored(a, before + 1));
    ASSERT_EQ(b.get("x"), 1);
  };
  const std::string hex = base::sha256("x").hex();
  const std::vector<Filter> matching = {{.tag = "t"},
                                        {.model = "m"},
                                        {.name_space = "n"},
                                        {.tenant = "one"},
                                        {.key_prefix = hex.substr(0, 5)},
                                        {.key_prefix = hex},
                                        {.tag = "u", .name_space = "n"},
                                        {}};
  for (const Filter& filter : matching) {
    SCOPED_TRACE(filter_json(filter).dump());
    fill();
    ASSERT_TRUE(within(milliseconds(20'000), [&] { return b.stats().servers == 2; }));
    InvalidationReport report;
    a.cache.purge(filter, &report);
    EXPECT_TRUE(report.told);
    EXPECT_EQ(report.servers, 2U);
    EXPECT_EQ(report.reached, 2U);
    EXPECT_EQ(b.get("x"), std::nullopt);
    EXPECT_EQ(a.get("x"), std::nullopt);
  }
  fill();
  const std::vector<Filter> others = {{.tag = "z"},
                                      {.model = "z"},
                                      {.name_space = "z"},
                                      {.tenant = "two"},
                                      {.key_prefix = "0000000"},
                                      {.tag = "t", .tenant = "two"}};
  for (const Filter& filter : others) a.cache.purge(filter);
  EXPECT_EQ(b.get("x"), 1);
  // The memory is freed in the background, also where the question makes the metadata long.
  a.put("long", 1, {.tags = {"t"}, .question = std::string(9000, 'q'), .semantic_scope = hex});
  ASSERT_TRUE(within(milliseconds(20'000), [&] { return count_values() == 2; }));
  a.cache.purge({.tag = "t"});
  EXPECT_TRUE(within(milliseconds(20'000), [&] { return count_values() == 0; }));
}

TEST_F(RedisStoreTest, WhatWasBegunBeforeAnInvalidationIsVoidAfterIt) {
  Server a(*redis), b(*redis);
  ASSERT_TRUE(a.comes_up() && b.comes_up());
  Reservation before = b.cache.tiers().reserve();
  const std::uint64_t position = b.cache.tiers().shared()->position();
  a.cache.purge({.tag = "t"});
  // In this process the purge is known by its own numbers; in Redis by those in the value.
  const auto kept = b.cache.store(base::sha256("x"), Value{1}, {.tags = {"t"}}, std::move(before));
  ASSERT_TRUE(kept);
  EXPECT_FALSE(*kept);
  auto entry = std::make_shared<Entry>();
  entry->value = Value{2};
  entry->meta.tags = {"t"};
  entry->stored_unix_s = b.clock.unix_seconds();
  b.cache.tiers().shared()->put(base::sha256("x"), entry, position, {});
  ASSERT_TRUE(stored(b, 1));
  EXPECT_EQ(a.get("x"), std::nullopt);
  // Void when it was looked at, if the purge's sweep had not freed it before.
  EXPECT_TRUE(within(milliseconds(20'000), [&] { return a.stats().voided + a.stats().swept >= 1; }));
}

TEST_F(RedisStoreTest, ATenantsManyPurgesBecomeOneThatCostsTheOthersNothing) {
  Server a(*redis, {.filters_max = 40}), b(*redis, {.filters_max = 40});
  ASSERT_TRUE(a.comes_up() && b.comes_up());
  a.put("theirs", 1, {.tenant = "many"});
  a.put("others", 2, {.tenant = "few"});
  ASSERT_TRUE(stored(a, 2));
  ASSERT_EQ(b.get("theirs"), 1);
  ASSERT_EQ(b.get("others"), 2);
  a.cache.purge({.tag = "of the few", .tenant = "few"});
  for (int i = 0; i < 60; ++i) a.cache.purge({.tag = std::to_string(i), .tenant = "many"});
  // 61 filters: too many. Theirs become one; that of the others stays.
  EXPECT_TRUE(within(milliseconds(20'000), [&] { return ask({"HLEN", "{permutation}:void"}).integer == 2; }));
  EXPECT_EQ(ask({"HEXISTS", "{permutation}:void", R"({"tenant":"many"})"}).integer, 1);
  EXPECT_TRUE(within(milliseconds(20'000), [&] { return b.get("theirs") == std::nullopt; }));
  EXPECT_EQ(a.get("theirs"), std::nullopt);
  EXPECT_EQ(b.get("others"), 2);
  EXPECT_EQ(a.get("others"), 2);
  EXPECT_THAT(a.told() + b.told(), HasSubstr("60 different purges of tenant 'many' became one"));
  // What is computed from now on is kept.
  a.put("theirs", 3, {.tenant = "many"});
  ASSERT_TRUE(stored(a, 3));
  EXPECT_EQ(b.get("theirs"), 3);
}

TEST_F(RedisStoreTest, AReplacedValueReachesTheOthersRam) {
  Server a(*redis), b(*redis);
  ASSERT_TRUE(a.comes_up() && b.comes_up());
  a.put("x", 1);
  ASSERT_TRUE(stored(a, 1));
  ASSERT_EQ(b.get("x"), 1);
  a.put("x", 2);
  EXPECT_TRUE(within(milliseconds(20'000), [&] { return b.get("x") == 2; }));
}

TEST_F(RedisStoreTest, ALifeEndsThereToo) {
  Server a(*redis, {.ttl_s_max = 1000});
  ASSERT_TRUE(a.comes_up());
  a.put("short", 1, {.ttl_s = 5, .stale_s = 10});
  a.put("long", 1, {.ttl_s = 1e6});
  a.put("endless", 1);
  ASSERT_TRUE(stored(a, 3));
  const auto left = [&](const char* name) {
    return static_cast<double>(ask({"PTTL", "permutation:v:{" + base::sha256(name).hex() + "}"}).integer) /
           1e3;
  };
  EXPECT_NEAR(left("short"), 15, 1);
  EXPECT_NEAR(left("long"), 1000, 1);
  EXPECT_NEAR(left("endless"), 1000, 1);
}

TEST_F(RedisStoreTest, DamagedAndForeignValuesAreMisses) {
  Server a(*redis), b(*redis);
  ASSERT_TRUE(a.comes_up() && b.comes_up());
  a.put("x", "value");
  a.put("y", "other");
  ASSERT_TRUE(stored(a, 2));
  const auto name = [](const char* of) { return "permutation:v:{" + base::sha256(of).hex() + "}"; };
  const std::string whole = ask({"GET", name("x")}).text;
  std::vector<std::string> bad = {"",
                                  "x",
                                  std::string(32, '\0'),
                                  std::string(1 << 20, 'p'),
                                  whole.substr(0, whole.size() - 1),
                                  whole + "x",
                                  ask({"GET", name("y")}).text};
  for (std::size_t i = 0; i < whole.size(); ++i) {
    bad.push_back(whole);
    bad.back()[i] = static_cast<char>(bad.back()[i] ^ 0x10);
  }
  for (const std::string& bytes : bad) {
    ask({"SET", name("x"), bytes});
    EXPECT_EQ(b.get("x"), std::nullopt);
  }
  const auto seen = b.stats();
  EXPECT_EQ(seen.corrupt, bad.size());
  EXPECT_THAT(b.told(), HasSubstr("damaged"));
  ask({"DEL", name("x")});
  ask({"LPUSH", name("x"), "a"});  // another type: Redis answers with an error
  EXPECT_EQ(b.get("x"), std::nullopt);
  EXPECT_TRUE(b.is_up());
  ask({"DEL", name("x")});
  ask({"SET", name("x"), whole});
  EXPECT_EQ(b.get("x"), "value");
}

TEST_F(RedisStoreTest, AHungRedisCostsOneTimeoutAndThenNothing) {
  Server a(*redis, {.timeout = milliseconds(150)});
  ASSERT_TRUE(a.comes_up());
  redis->send(SIGSTOP);
  const auto begin = steady_clock::now();
  EXPECT_EQ(a.get("x"), std::nullopt);
  EXPECT_EQ(a.stats().failures, 1U);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(a.get("x"), std::nullopt);
  EXPECT_GE(a.stats().skipped, 1000U) << "not asked, so not waited for";
  EXPECT_LT(steady_clock::now() - begin, milliseconds(1000 * 150 / 2)) << "each waits";
  EXPECT_THAT(a.told(), HasSubstr("no answer in time"));
  InvalidationReport report;
  a.put("x", 1);
  a.cache.purge({}, &report);
  EXPECT_FALSE(report.told);
  EXPECT_EQ(a.get("x"), std::nullopt);
  EXPECT_EQ(a.stats().pending, 1U);
  redis->send(SIGCONT);
  EXPECT_TRUE(a.comes_up());
  EXPECT_EQ(a.stats().pending, 0U);
  EXPECT_EQ(a.stats().failures, 1U);
}

TEST_F(RedisStoreTest, AServerThatWasAwayCatchesUpBeforeItTrustsAgain) {
  Server a(*redis), b(*redis);
  ASSERT_TRUE(a.comes_up() && b.comes_up());
  a.put("x", 1, {.tags = {"t"}});
  a.put("y", 1, {.tags = {"u"}});
  ASSERT_TRUE(stored(a, 2));
  ASSERT_EQ(b.get("x"), 1);
  ASSERT_EQ(b.get("y"), 1);
  redis->send(SIGKILL);
  ASSERT_TRUE(within(milliseconds(20'000), [&] { return !a.is_up() && !b.is_up(); }));
  InvalidationReport report;
  a.cache.purge({.tag = "t"}, &report);
  EXPECT_FALSE(report.told);
  EXPECT_EQ(b.get("x"), 1);  // degraded to local: it can't know
  redis->start();            // empty
  ASSERT_TRUE(a.comes_up() && b.comes_up());
  EXPECT_TRUE(within(milliseconds(20'000), [&] { return b.get("x") == std::nullopt; }));
  EXPECT_EQ(b.get("y"), 1);
}

TEST_F(RedisStoreTest, ARedisThatLosesItsStateIsFoundOut) {
  Server a(*redis), b(*redis);
  ASSERT_TRUE(a.comes_up() && b.comes_up());
  a.put("x", 1, {.tags = {"t"}});
  ASSERT_TRUE(stored(a, 1));
  ASSERT_EQ(b.get("x"), 1);
  ask({"FLUSHALL"});
  InvalidationReport report;
  a.cache.purge({.tag = "t"}, &report);
  EXPECT_TRUE(within(milliseconds(20'000), [&] { return b.get("x") == std::nullopt; }));
  EXPECT_TRUE(within(milliseconds(20'000), [&] { return a.stats().pending == 0 && a.stats().servers == 2; }));
  // What is put while the state is made anew may stay with the one server: that costs a hit, no more.
  EXPECT_TRUE(within(milliseconds(20'000), [&] {
    a.put("y", 2, {.tags = {"t"}});
    return b.get("y") == 2;
  }));
  a.cache.purge({.tag = "t"}, &report);
  EXPECT_EQ(report.reached, 2U);
  EXPECT_EQ(b.get("y"), std::nullopt);
}

/// Two servers that serve one scripted model each.
struct Flights {
  explicit Flights(const TestRedis& redis, RedisOptions options = {})
      : server(redis, std::move(options)),
        cached(model, server.cache, server.clock, {.model = "m", .versions = {}, .price = {}}) {}
  /// What a caller left behind may still wait for the other server.
  ~Flights() { server.cache.tiers().shared()->quiesce(); }
  std::shared_ptr<llm::CollectingSink> ask(base::CancelToken cancel = {}) {
    llm::Request request;
    request.endpoint = llm::Endpoint::kCompletions;
    request.prompt = "the question";
    request.sampling.temperature = 0;
    auto sink = std::make_shared<llm::CollectingSink>();
    cached.start(std::move(request), sink, std::move(cancel));
    return sink;
  }
  Server server;
  ScriptedCompleter model;
  CachedCompleter cached;
};

TEST_F(RedisStoreTest, OneServerComputesForBoth) {
  Flights a(*redis), b(*redis);
  ASSERT_TRUE(a.server.comes_up() && b.server.comes_up());
  const auto first = a.ask();
  a.model.call(0);
  std::vector<std::shared_ptr<llm::CollectingSink>> others = {b.ask(), b.ask(), b.ask()};
  std::this_thread::sleep_for(milliseconds(60));  // some time to do it wrong in
  EXPECT_EQ(b.model.calls(), 0);
  a.model.answer(0, {"the ", "answer"});
  EXPECT_EQ(started_report(first->wait()).status, llm::CacheStatus::kMiss);
  for (const auto& one : others) {
    const auto events = one->wait();
    EXPECT_EQ(llm::text_of(events), "the answer");
    EXPECT_EQ(started_report(events).status, llm::CacheStatus::kCoalesced);
    EXPECT_GT(done_of(events).report.cache->tokens_saved, 0);
  }
  EXPECT_EQ(b.model.calls(), 0);
  EXPECT_EQ(b.server.stats().waited, 1U);
  EXPECT_EQ(b.server.cache.stats().coalesced, 3U);
  EXPECT_EQ(started_report(b.ask()->wait()).status, llm::CacheStatus::kHit);
}

TEST_F(RedisStoreTest, AHolderThatDiesHandsOver) {
  auto a = std::make_unique<Flights>(*redis, RedisOptions{.lease = milliseconds(1500)});
  Flights b(*redis, {.lease = milliseconds(1500)});
  ASSERT_TRUE(a->server.comes_up() && b.server.comes_up());
  // A lease of somebody who never comes back.
  (void)a->ask();
  a->model.call(0);
  const auto waiting = b.ask();
  const std::string lease = ask({"KEYS", "permutation:l:*"}).at(0).text;
  std::int64_t left = 0;
  int renewals = 0;
  EXPECT_TRUE(within(milliseconds(10'000), [&] {
    const std::int64_t now = ask({"PTTL", lease}).integer;
    renewals += now > left && left != 0 ? 1 : 0;
    left = now;
    return renewals == 3;
  }));
  EXPECT_EQ(b.model.calls(), 0);
  a->server.cache.tiers().shared()->quiesce();  // as if it had died: nothing is renewed
  b.model.answer(0, {"mine"});                  // waits for the call
  EXPECT_EQ(llm::text_of(waiting->wait()), "mine");
  EXPECT_EQ(b.server.stats().taken_over, 1U);
  a->model.fail(0, base::Code::kCancelled, "gone");
}

TEST_F(RedisStoreTest, AFailureAndALeaverGiveTheLeaseBack) {
  Flights a(*redis), b(*redis);
  ASSERT_TRUE(a.server.comes_up() && b.server.comes_up());
  const auto failing = a.ask();
  a.model.call(0);
  const auto second = b.ask();
  a.model.fail(0, base::Code::kInternal, "broke");
  (void)failing->wait();
  b.model.call(0);  // long before the lease's 5 s
  base::CancelToken leaver;
  const auto third = a.ask(leaver);  // waits for b
  std::this_thread::sleep_for(milliseconds(50));
  leaver.cancel();
  EXPECT_EQ(failure_of(third->wait()).code, base::Code::kCancelled);
  b.model.answer(0, {"x"});
  EXPECT_EQ(llm::text_of(second->wait()), "x");
  EXPECT_EQ(a.model.calls(), 1);
}

TEST_F(RedisStoreTest, AWaitIsBounded) {
  Flights a(*redis), b(*redis, {.wait_max = milliseconds(200)});
  ASSERT_TRUE(a.server.comes_up() && b.server.comes_up());
  const auto first = a.ask();
  a.model.call(0);
  const auto second = b.ask();
  b.model.answer(0, {"own"});
  EXPECT_EQ(llm::text_of(second->wait()), "own");
  EXPECT_EQ(b.server.stats().wait_limits, 1U);
  a.model.answer(0, {"late"});
  (void)first->wait();
}

TEST_F(RedisStoreTest, WhileRedisIsAwayEachComputesForItself) {
  Flights a(*redis);
  ASSERT_TRUE(a.server.comes_up());
  redis->send(SIGKILL);
  const auto sink = a.ask();
  a.model.answer(0, {"x"});
  EXPECT_EQ(llm::text_of(sink->wait()), "x");
  EXPECT_EQ(started_report(a.ask()->wait()).status, llm::CacheStatus::kHit);
}

}  // namespace
}  // namespace pmt::response_cache
