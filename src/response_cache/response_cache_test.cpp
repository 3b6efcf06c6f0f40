#include "response_cache/response_cache.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <list>
#include <map>
#include <random>
#include <thread>

namespace pmt::response_cache {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Key key_of(const std::string& name) {
  return base::sha256(name);
}
Value text(std::string s) {
  return Value{nlohmann::json(std::move(s))};
}

class ResponseCacheTest : public testing::Test {
 protected:
  base::FakeClock clock_;
};

TEST_F(ResponseCacheTest, EvictsTheLeastRecentlyUsed) {
  ResponseCache cache({.entries_max = 3, .eviction = Eviction::kLru}, clock_);
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(cache.store(key_of(name), text(name), {}).value());
  EXPECT_TRUE(cache.get(key_of("a")));
  ASSERT_TRUE(cache.store(key_of("b"), text("b2"), {}).value());  // replacing is a use and evicts nobody
  EXPECT_EQ(cache.stats().evictions, 0U);
  ASSERT_TRUE(cache.store(key_of("d"), text("d"), {}).value());
  EXPECT_FALSE(cache.get(key_of("c")));
  ASSERT_TRUE(cache.store(key_of("e"), text("e"), {}).value());
  EXPECT_FALSE(cache.get(key_of("a")));
  EXPECT_EQ(std::get<nlohmann::json>(cache.get(key_of("b"))->value.content), "b2");
  EXPECT_EQ(cache.stats().entries, 3U);
  EXPECT_EQ(cache.stats().evictions, 2U);
}

/// The plainest LRU there is.
class NaiveLru {
 public:
  NaiveLru(std::size_t entries_max, std::size_t bytes_max)
      : entries_max_(entries_max), bytes_max_(bytes_max) {}
  bool get(int key) {
    const auto at = find(key);
    if (at == order_.end()) return false;
    order_.splice(order_.begin(), order_, at);
    return true;
  }
  void store(int key, std::size_t bytes) {
    erase(key);
    order_.emplace_front(key, bytes);
    while (order_.size() > entries_max_ || total() > bytes_max_) order_.pop_back();
  }
  bool erase(int key) {
    const auto at = find(key);
    if (at == order_.end()) return false;
    order_.erase(at);
    return true;
  }
  std::size_t total() const {
    std::size_t sum = 0;
    for (const auto& [key, bytes] : order_) sum += bytes;
    return sum;
  }
  std::size_t size() const { return order_.size(); }

 private:
  std::list<std::pair<int, std::size_t>>::iterator find(int key) {
    return std::find_if(order_.begin(), order_.end(), [&](const auto& e) { return e.first == key; });
  }
  std::size_t entries_max_, bytes_max_;
  std::list<std::pair<int, std::size_t>> order_;
};

TEST_F(ResponseCacheTest, AgreesWithANaiveModelOverRandomOperations) {
  constexpr std::size_t kEntries = 40, kBytes = 60'000;
  ResponseCache cache({.entries_max = kEntries, .bytes_max = kBytes, .eviction = Eviction::kLru}, clock_);
  NaiveLru naive(kEntries, kBytes);
  std::mt19937 random(20240607);
  for (int step = 0; step < 30'000; ++step) {
    const int id = static_cast<int>(random() % 90);
    const Key key = key_of(std::to_string(id));
    switch (random() % 8) {
      case 0:
        ASSERT_EQ(cache.purge(Filter::of_key(key)) == 1, naive.erase(id)) << step;
        break;
      case 1:
      case 2:
      case 3: {
        ASSERT_TRUE(cache.store(key, text(std::string(random() % 4000, 'x')), {}).value());
        // The cache's own count of this entry: deep_size_test judges it.
        const auto entry = cache.get(key);
        ASSERT_TRUE(entry) << step;
        naive.store(id, entry->bytes);
        break;
      }
      default:
        ASSERT_EQ(cache.get(key) != nullptr, naive.get(id)) << step;
    }
    ASSERT_EQ(cache.stats().entries, naive.size()) << step;
    ASSERT_EQ(cache.stats().bytes, naive.total()) << step;
  }
  EXPECT_GT(cache.stats().evictions, 1000U);
}

TEST_F(ResponseCacheTest, ExpiresByTtl) {
  ResponseCache cache({}, clock_);
  const Key key = key_of("a");
  ASSERT_TRUE(cache.store(key, text("a"), {.ttl_s = 10}).value());
  clock_.advance(milliseconds(9'999));
  EXPECT_TRUE(cache.get(key));
  clock_.advance(milliseconds(1));
  EXPECT_FALSE(cache.get(key));
  EXPECT_EQ(cache.stats().expired, 1U);
  EXPECT_EQ(cache.stats().entries, 0U);
  EXPECT_EQ(cache.stats().bytes, 0U);
  ASSERT_TRUE(cache.store(key, text("a"), {.ttl_s = 0}).value());
  EXPECT_FALSE(cache.get(key));
  ASSERT_TRUE(cache.store(key, text("a"), {.ttl_s = 1e300}).value());
  clock_.advance(std::chrono::hours(24 * 365 * 100));
  EXPECT_TRUE(cache.get(key));
}

TEST_F(ResponseCacheTest, MaxAgeRefusesWithoutRemoving) {
  ResponseCache cache({}, clock_);
  ASSERT_TRUE(cache.store(key_of("a"), text("a"), {}).value());
  clock_.advance(seconds(5));
  EXPECT_FALSE(cache.get(key_of("a"), 4.9));
  EXPECT_TRUE(cache.get(key_of("a"), 5.0));
  EXPECT_TRUE(cache.get(key_of("a")));
}

TEST_F(ResponseCacheTest, CountsWhatItSaved) {
  ResponseCache cache({}, clock_);
  ASSERT_TRUE(cache.store(key_of("a"), text("a"), {.tokens = 41, .usd = 0.5}).value());
  EXPECT_FALSE(cache.store(key_of("b"), text("b"), {.reusable = false}).value());
  EXPECT_FALSE(cache.get(key_of("b")));
  EXPECT_TRUE(cache.get(key_of("a")) && cache.get(key_of("a")));
  cache.end_lookup(key_of("b"), {.ending = Ending::kHit, .tokens = 41, .usd = 0.5});
  cache.end_lookup(key_of("b"), {.ending = Ending::kCoalesced, .tokens = 9, .usd = 0.25});
  const Stats stats = cache.stats();
  EXPECT_EQ(stats.hits, 3U);
  EXPECT_EQ(stats.misses, 2U) << "one that was coalesced has missed";
  EXPECT_EQ(stats.coalesced, 1U);
  EXPECT_EQ(stats.stores, 1U);
  EXPECT_EQ(stats.refused, 1U);
  EXPECT_EQ(stats.tokens_saved, 3 * 41 + 9);
  EXPECT_DOUBLE_EQ(stats.usd_saved, 1.75);
}

/// What GET /v1/cache shows is the sum of what /metrics shows for each.
TEST_F(ResponseCacheTest, WhatIsCountedIsCountedForEachModelAndTenant) {
  ResponseCache cache({.entries_max = 3, .eviction = Eviction::kLru}, clock_);
  const auto store = [&](const char* key, const char* model, const char* tenant, StoreOptions options = {}) {
    options.model = model;
    options.tenant = tenant;
    options.tokens = 10;
    return cache.store(key_of(key), text(key), options).value();
  };
  ASSERT_TRUE(store("1", "m", "a"));
  ASSERT_TRUE(store("2", "m", "b"));
  ASSERT_TRUE(store("3", "n", "b", {.ttl_s = 5}));
  ASSERT_FALSE(store("4", "n", "a", {.reusable = false}));
  EXPECT_TRUE(cache.get(key_of("1")) && cache.get(key_of("2")) && cache.get(key_of("2")));
  cache.end_lookup(key_of("x"), {.who = {.model = "m", .tenant = "a", .key = {}}});
  cache.end_lookup(key_of("y"), {.ending = Ending::kCoalesced,
                                 .who = {.model = "m", .tenant = "a", .key = {}},
                                 .tokens = 4,
                                 .usd = 0.5});
  cache.find_everywhere(key_of("none"), "b", [](const EntryPtr& none) { EXPECT_EQ(none, nullptr); });
  clock_.advance(seconds(6));
  EXPECT_FALSE(cache.get(key_of("3")));
  ASSERT_TRUE(store("5", "m", "b"));
  ASSERT_TRUE(store("6", "m", "b"));  // "1" is the longest unused
  EXPECT_EQ(cache.purge({.tenant = "b"}), 3U);

  std::map<std::string, Stats> found;
  Stats sum = cache.stats();
  for (const auto& [who, stats] : cache.stats_by_owner()) {
    EXPECT_EQ(who.key, "");
    found[who.model + "/" + who.tenant] = stats;
  }
  EXPECT_EQ(found["m/a"].hits, 1U);
  EXPECT_EQ(found["m/a"].misses, 2U);
  EXPECT_EQ(found["m/a"].coalesced, 1U);
  EXPECT_EQ(found["m/a"].tokens_saved, 14);
  EXPECT_EQ(found["m/a"].evictions, 1U);
  EXPECT_EQ(found["m/b"].hits, 2U);
  EXPECT_EQ(found["m/b"].stores, 3U);
  EXPECT_EQ(found["m/b"].purged, 3U);
  EXPECT_EQ(found["n/b"].expired, 1U);
  EXPECT_EQ(found["n/a"].refused, 1U);
  EXPECT_EQ(found["/b"].misses, 1U) << "no model: by its key";
  EXPECT_EQ(found["/"].misses, 1U) << "nobody said who asks";
  for (const auto& [name, stats] : found) {
    sum.hits -= stats.hits;
    sum.misses -= stats.misses;
    sum.stores -= stats.stores;
    sum.purged -= stats.purged;
    sum.tokens_saved -= stats.tokens_saved;
  }
  EXPECT_EQ(sum.hits + sum.misses + sum.stores + sum.purged, 0U);
  EXPECT_EQ(sum.tokens_saved, 0);
}

TEST_F(ResponseCacheTest, WhoOnlyLooksMovesNoCounter) {
  ResponseCache cache({.entries_max = 2, .eviction = Eviction::kLru}, clock_);
  ASSERT_TRUE(cache.store(key_of("a"), text("a"), {.tokens = 44, .usd = 0.5}).value());
  ASSERT_TRUE(cache.store(key_of("b"), text("b"), {}).value());
  const Stats before = cache.stats();
  cache.look(key_of("a"), [](const EntryPtr& seen) { ASSERT_NE(seen, nullptr); });
  cache.look(key_of("none"), [](const EntryPtr& seen) { EXPECT_EQ(seen, nullptr); });
  cache.visit({}, [](const Key&, const Entry&) {});
  EXPECT_EQ(cache.purge(Filter::of_key(key_of("none"))), 0U);
  const Stats after = cache.stats();
  EXPECT_EQ(after.hits, 0U);
  EXPECT_EQ(after.misses, 0U);
  EXPECT_EQ(after.tokens_saved, 0);
  EXPECT_EQ(after.bytes, before.bytes);
  ASSERT_TRUE(cache.store(key_of("c"), text("c"), {}).value());
  EXPECT_FALSE(cache.get(key_of("a"))) << "and it was no use of the entry: it is still the oldest";
}

TEST_F(ResponseCacheTest, AnEnginesOwnCallsAreCountedBesideClients) {
  ResponseCache cache({}, clock_);
  ASSERT_TRUE(cache.store(key_of("a"), text("a"), {.tokens = 7, .usd = 0.5, .engine_call = true}).value());
  EXPECT_TRUE(cache.find(key_of("a"), {.asker = Asker::kEngine}));
  EXPECT_FALSE(cache.find(key_of("b"), {.asker = Asker::kEngine}));
  EXPECT_TRUE(cache.find(key_of("a"), {.asker = Asker::kNobody}));
  EXPECT_FALSE(cache.find(key_of("b"), {.asker = Asker::kNobody}));
  cache.end_lookup(key_of("b"), {.ending = Ending::kCoalesced, .asker = Asker::kEngine, .tokens = 3});
  const Stats stats = cache.stats();
  EXPECT_EQ(stats.hits + stats.misses + stats.coalesced + stats.stores, 0U);
  EXPECT_EQ(stats.tokens_saved, 0);
  EXPECT_EQ(stats.engine.hits, 1U);
  EXPECT_EQ(stats.engine.misses, 2U);
  EXPECT_EQ(stats.engine.coalesced, 1U);
  EXPECT_EQ(stats.engine.stores, 1U);
  EXPECT_EQ(stats.engine.tokens_saved, 10);
  EXPECT_DOUBLE_EQ(stats.engine.usd_saved, 0.5);
  EXPECT_EQ(stats.entries, 1U);
}

TEST_F(ResponseCacheTest, APurgedAnswerTakesItsTwinsAlong) {
  ResponseCache cache({}, clock_);
  const Value answer{RecordedAnswer{{llm::Started{}, llm::Done{}}}};
  const auto store = [&](const char* name, std::vector<Key> made_of) {
    ASSERT_TRUE(cache.store(key_of(name), answer, {.tenant = "t", .made_of = std::move(made_of)}).value());
  };
  const auto purge = [&](const char* name) {
    return cache.purge_answer(key_of(name), cache.tiers().peek(key_of(name)));
  };
  store("draft", {});
  store("whole", {key_of("draft")});
  store("other", {key_of("another draft")});
  EXPECT_EQ(purge("whole"), 2U) << "else the draft would make it anew";
  store("draft", {});
  store("whole", {key_of("draft")});
  EXPECT_EQ(purge("draft"), 2U) << "else the whole would still give it";
  EXPECT_TRUE(cache.tiers().peek(key_of("other")));
  EXPECT_EQ(purge("none"), 0U);
  EXPECT_EQ(cache.stats().purged, 4U);
}

TEST_F(ResponseCacheTest, ManyTokensAreCountedAsFarAsThereIsRoom) {
  ResponseCache cache({}, clock_);
  constexpr std::int64_t kMany = std::int64_t{1} << 60;
  ASSERT_TRUE(cache.store(key_of("a"), text("a"), {.tokens = kMany}).value());
  EXPECT_TRUE(cache.get(key_of("a")));
  EXPECT_EQ(cache.stats().tokens_saved, (std::int64_t{1} << 46) - 1);
}

TEST_F(ResponseCacheTest, ALookupThatGoesOnIsCountedWhereItEnds) {
  ResponseCache cache({}, clock_);
  EXPECT_FALSE(cache.tiers().find(key_of("a"), {}));
  EXPECT_EQ(cache.stats().misses, 0U);
  cache.end_lookup(key_of("a"), {});
  EXPECT_EQ(cache.stats().misses, 1U);
  ASSERT_TRUE(cache.store(key_of("a"), text("a"), {}).value());
  const Found none = cache.tiers().find(key_of("a"), {.answers_only = true});
  EXPECT_FALSE(none);
  EXPECT_EQ(none.why, Miss::kNoAnswer);
  EXPECT_EQ(cache.stats().hits, 0U);
  EXPECT_TRUE(cache.tiers().find(key_of("a"), {}));
  EXPECT_EQ(cache.stats().hits, 1U) << "found in RAM: it ends there";
}

TEST_F(ResponseCacheTest, WhatWasPurgedMeanwhileIsNotStored) {
  ResponseCache cache({}, clock_);
  Reservation early = cache.tiers().reserve(), late = cache.tiers().reserve();
  EXPECT_EQ(cache.purge({.tag = "t"}), 0U);
  EXPECT_FALSE(*cache.store(key_of("a"), text("a"), {.tags = {"t"}}, std::move(early)));
  EXPECT_TRUE(*cache.store(key_of("b"), text("b"), {.tags = {"u"}}, std::move(late)));
  EXPECT_TRUE(*cache.store(key_of("a"), text("a"), {.tags = {"t"}}));
  EXPECT_EQ(cache.stats().refused, 1U);
}

TEST_F(ResponseCacheTest, AValueBeyondTheLimitLeavesTheOldOne) {
  ResponseCache cache({.entries_max = 10, .bytes_max = 10'000}, clock_);
  ASSERT_TRUE(cache.store(key_of("a"), text("a"), {}).value());
  const auto stored = cache.store(key_of("a"), text(std::string(20'000, 'x')), {});
  ASSERT_FALSE(stored);
  EXPECT_EQ(stored.error().code, base::Code::kTooLarge);
  EXPECT_EQ(std::get<nlohmann::json>(cache.get(key_of("a"))->value.content), "a");
  ResponseCache none({.entries_max = 0}, clock_);
  EXPECT_FALSE(none.store(key_of("a"), text("a"), {}));
}

// Many shards, and one value of half the whole cache: it must fit, whatever the others hold.
TEST_F(ResponseCacheTest, ALargeValueTakesRoomFromEveryShard) {
  constexpr std::size_t kBytes = 16 << 20;
  ResponseCache cache({.entries_max = 100'000, .bytes_max = kBytes}, clock_);
  for (int i = 0; i < 30'000; ++i) {
    ASSERT_TRUE(cache.store(key_of(std::to_string(i)), text(std::string(500, 'x')), {}));
  }
  EXPECT_GT(cache.stats().bytes, kBytes * 9 / 10);
  ASSERT_TRUE(cache.store(key_of("large"), text(std::string(kBytes / 2, 'x')), {}));
  EXPECT_TRUE(cache.get(key_of("large")));
  EXPECT_LE(cache.stats().bytes, kBytes);
}

TEST_F(ResponseCacheTest, AReaderKeepsWhatWasEvicted) {
  ResponseCache cache({.entries_max = 1}, clock_);
  ASSERT_TRUE(cache.store(key_of("a"), text("kept"), {}));
  const auto entry = cache.get(key_of("a"));
  ASSERT_TRUE(cache.store(key_of("b"), text("b"), {}));
  EXPECT_FALSE(cache.get(key_of("a")));
  EXPECT_EQ(std::get<nlohmann::json>(entry->value.content), "kept");
}

TEST_F(ResponseCacheTest, PurgesByAllSetFilters) {
  ResponseCache cache({.entries_max = 100'000}, clock_);
  const auto fill = [&] {
    for (int i = 0; i < 1000; ++i) {
      const StoreOptions options{.name_space = i % 2 == 0 ? "even" : "odd",
                                 .model = i < 500 ? "low" : "high",
                                 .tags = {"all", fmt::format("t{}", i % 10)}};
      ASSERT_TRUE(cache.store(key_of(std::to_string(i)), text("x"), options));
    }
  };
  fill();
  EXPECT_EQ(cache.purge({.tag = "t3"}), 100U);
  EXPECT_EQ(cache.purge({.tag = "t3"}), 0U);
  EXPECT_EQ(cache.purge({.model = "low", .name_space = "even"}), 250U);
  EXPECT_EQ(cache.purge({.key_prefix = key_of("999").hex().substr(0, 9)}), 1U);
  EXPECT_EQ(cache.purge({.key_prefix = key_of("999").hex() + "0"}), 0U);
  EXPECT_FALSE(cache.get(key_of("999")));
  EXPECT_EQ(cache.purge(Filter::of_key(key_of("998"))), 1U);
  EXPECT_EQ(cache.purge(Filter::of_key(key_of("998"))), 0U);
  const std::uint64_t left = cache.stats().entries;
  EXPECT_EQ(cache.purge({}), left);
  EXPECT_EQ(cache.stats().entries, 0U);
  EXPECT_EQ(cache.stats().bytes, 0U);
  EXPECT_EQ(cache.stats().purged, 1000U);
}

TEST_F(ResponseCacheTest, LimitsHoldAtEveryMomentUnderLoad) {
  constexpr std::size_t kEntries = 5000, kBytes = 5 << 20;
  ResponseCache cache({.entries_max = kEntries, .bytes_max = kBytes}, clock_);
  std::atomic<bool> stop = false;
  std::thread watcher([&] {
    while (!stop) {
      const Stats stats = cache.stats();
      EXPECT_LE(stats.bytes, kBytes);
      EXPECT_LE(stats.entries, kEntries);
    }
  });
  std::vector<std::thread> workers;
  for (unsigned t = 0; t < 8; ++t) {
    workers.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 4000; ++i) {
        const std::string name = std::to_string(random() % 20'000);
        const Key key = key_of(name);
        if (random() % 3 == 0) {
          const auto entry = cache.get(key);
          if (entry) {
            EXPECT_EQ(
                std::get<nlohmann::json>(entry->value.content).get<std::string>().substr(0, name.size() + 1),
                name + ":");
          }
        } else if (random() % 50 == 0) {
          cache.purge(Filter::of_key(key));
        } else {
          EXPECT_TRUE(cache.store(key, text(name + ":" + std::string(random() % 8000, 'x')), {}));
        }
      }
    });
  }
  for (auto& worker : workers) worker.join();
  stop = true;
  watcher.join();
  const Stats stats = cache.stats();
  EXPECT_GT(stats.evictions, 1000U);
  EXPECT_EQ(cache.purge({}), stats.entries);
  EXPECT_EQ(cache.stats().bytes, 0U);
}

}  // namespace
}  // namespace pmt::response_cache
