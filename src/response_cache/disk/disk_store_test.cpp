#include "response_cache/disk/disk_store.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "response_cache/response_cache.h"

namespace pmt::response_cache {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

Key key_of(int i) {
  return base::sha256(std::to_string(i));
}
std::shared_ptr<const Entry> entry_of(json value, std::vector<std::string> tags = {}) {
  auto entry = std::make_shared<Entry>();
  entry->value.content = std::move(value);
  entry->meta.tags = std::move(tags);
  entry->bytes = 500;
  return entry;
}
json value_of(const std::optional<OutsideEntry>& entry) {
  return entry ? std::get<json>(entry->value.content) : json("absent");
}

class DiskStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = fs::temp_directory_path() /
            fmt::format("permutation-disk-{}-{}", getpid(),
                        testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(path_);
  }
  void TearDown() override { fs::remove_all(path_); }
  DiskOptions options(std::size_t bytes_max = 64 << 20) {
    return {.path = path_.string(), .bytes_max = bytes_max, .on_warning = [this](const std::string& text) {
              warnings_.push_back(text);
            }};
  }
  std::unique_ptr<DiskStore> open(std::size_t bytes_max = 64 << 20) {
    auto store = DiskStore::open(options(bytes_max));
    EXPECT_TRUE(store) << store.error().message;
    return store ? std::move(*store) : nullptr;
  }
  std::string file() const { return (path_ / "responses.mdb").string(); }

  fs::path path_;
  std::vector<std::string> warnings_;
};

TEST_F(DiskStoreTest, ReadsItsWritesBeforeAndAfterTheyAreDurableAndAfterARestart) {
  {
    const auto store = open();
    store->put(key_of(1), entry_of("one"));
    store->put(key_of(2), entry_of("two"));
    EXPECT_EQ(value_of(store->get(key_of(1))), "one");
    ASSERT_TRUE(store->flush());
    EXPECT_EQ(value_of(store->get(key_of(1))), "one");
    store->erase(key_of(2));
    EXPECT_EQ(value_of(store->get(key_of(2))), "absent");
    store->put(key_of(1), entry_of("uno"));
  }
  const auto store = open();
  EXPECT_EQ(value_of(store->get(key_of(1))), "uno");
  EXPECT_EQ(value_of(store->get(key_of(2))), "absent");
  EXPECT_EQ(store->stats().entries, 1U);
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(DiskStoreTest, PurgesByMetadata) {
  const auto store = open();
  for (int i = 0; i < 100; ++i) store->put(key_of(i), entry_of(i, {i % 4 == 0 ? "four" : "other"}));
  const auto gone = store->purge(
      [](const Key&, const StoreOptions& meta) { return meta.tags == std::vector<std::string>{"four"}; });
  EXPECT_EQ(gone.size(), 25U);
  EXPECT_EQ(store->stats().entries, 75U);
  EXPECT_EQ(value_of(store->get(key_of(4))), "absent");
  EXPECT_EQ(value_of(store->get(key_of(5))), 5);
}

TEST_F(DiskStoreTest, OnlyOneProcessHasIt) {
  const auto store = open();
  const auto second = DiskStore::open(options());
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("another server"), std::string::npos);
}

TEST_F(DiskStoreTest, AFullFileMakesRoom) {
  const auto store = open(2 << 20);
  for (int i = 0; i < 4000; ++i) store->put(key_of(i), entry_of(std::string(1000, 'x')));
  ASSERT_TRUE(store->flush());
  EXPECT_GT(store->stats().evicted, 1000U);
  EXPECT_GT(store->stats().entries, 500U);
  store->put(key_of(-1), entry_of("last"));
  ASSERT_TRUE(store->flush());
  EXPECT_EQ(value_of(store->get(key_of(-1))), "last");
  EXPECT_LE(fs::file_size(file()), 2U << 20);
}

TEST_F(DiskStoreTest, ADamagedFileIsSetAside) {
  for (const bool truncated : {true, false}) {
    {
      const auto store = open();
      for (int i = 0; i < 2000; ++i) store->put(key_of(i), entry_of(std::string(500, 'x')));
    }
    if (truncated) {
      fs::resize_file(file(), fs::file_size(file()) / 2 / 4096 * 4096);
    } else {
      std::fstream out(file(), std::ios::in | std::ios::out | std::ios::binary);
      const std::string noise(fs::file_size(file()) - 8192, '\x5a');
      out.seekp(8192);
      out.write(noise.data(), static_cast<std::streamsize>(noise.size()));
    }
    warnings_.clear();
    const auto store = open();
    ASSERT_TRUE(store);
    ASSERT_EQ(warnings_.size(), 1U) << (truncated ? "truncated" : "overwritten");
    EXPECT_NE(warnings_[0].find("damaged"), std::string::npos);
    EXPECT_EQ(store->stats().entries, 0U);
    store->put(key_of(1), entry_of("new"));
    EXPECT_TRUE(store->flush());
    const auto kept =
        std::count_if(fs::directory_iterator(path_), fs::directory_iterator(), [](const auto& file) {
          return file.path().filename().string().find(".damaged-") != std::string::npos;
        });
    EXPECT_GE(kept, 1) << "never deleted";
  }
}

TEST_F(DiskStoreTest, ADamagedRecordIsAbsent) {
  const std::string text = "the lighthouse keeper's log";
  {
    const auto store = open();
    store->put(key_of(1), entry_of(text));
    store->put(key_of(2), entry_of("other"));
  }
  std::string bytes;
  {
    std::ifstream in(file(), std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  for (std::size_t at = bytes.find(text); at != std::string::npos; at = bytes.find(text, at + 1))
    bytes[at] = 'T';
  std::ofstream(file(), std::ios::binary) << bytes;
  const auto store = open();
  EXPECT_EQ(value_of(store->get(key_of(1))), "absent");
  EXPECT_EQ(value_of(store->get(key_of(2))), "other");
  EXPECT_EQ(store->stats().corrupt, 1U);
}

/// A file size limit stands in for the full disk: the system refuses the write in the same place.
TEST_F(DiskStoreTest, ADiskThatIsFullCostsOnlyTheCopy) {
  const auto store = open();
  store->put(key_of(1), entry_of("before"));
  ASSERT_TRUE(store->flush());
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  const auto ignored = signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{fs::file_size(file()), old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &tight);
  for (int i = 10; i < 200; ++i) store->put(key_of(i), entry_of(std::string(3000, 'x')));
  const auto flushed = store->flush();
  setrlimit(RLIMIT_FSIZE, &old);
  signal(SIGXFSZ, ignored);
  EXPECT_FALSE(flushed) << "nothing durable was promised";
  EXPECT_EQ(warnings_.size(), 1U);
  EXPECT_EQ(value_of(store->get(key_of(1))), "before");
  store->put(key_of(300), entry_of("after"));
  EXPECT_TRUE(store->flush()) << "and it goes on when there is room";
  EXPECT_EQ(value_of(store->get(key_of(300))), "after");
}

TEST_F(DiskStoreTest, TheCacheStartsWarmAndForgetsBelowToo) {
  base::FakeClock clock;
  {
    ResponseCache cache({.entries_max = 100}, clock);
    cache.tiers().set_disk(open());
    for (int i = 0; i < 500; ++i)
      ASSERT_TRUE(cache.store(key_of(i), Value{json(i)},
                              {.tokens = 3,
                               .ttl_s = i < 10 ? std::optional(60.0) : std::nullopt,
                               .tags = {i % 2 ? "odd" : "even"}}));
    EXPECT_EQ(cache.stats().entries, 100U);
    EXPECT_TRUE(cache.get(key_of(3))) << "evicted from RAM, found below";
    EXPECT_EQ(cache.purge(Filter::of_key(key_of(20))), 1U);
  }
  ResponseCache cache({.entries_max = 100}, clock);
  cache.tiers().set_disk(open());
  EXPECT_EQ(std::get<json>(cache.get(key_of(400))->value.content), 400);
  EXPECT_EQ(cache.find(key_of(401)).tier, Tier::kDisk);
  EXPECT_EQ(cache.find(key_of(401)).tier, Tier::kRam) << "it was brought up";
  EXPECT_EQ(cache.stats().hits, 3U);
  EXPECT_EQ(cache.stats().misses, 0U);
  EXPECT_FALSE(cache.get(key_of(20)));
  EXPECT_EQ(cache.purge({.tag = "odd"}), 250U);
  EXPECT_FALSE(cache.get(key_of(401)));
  EXPECT_TRUE(cache.get(key_of(4)));
  clock.advance(std::chrono::seconds(100));
  EXPECT_FALSE(cache.get(key_of(4))) << "its life ends there too";
  EXPECT_FALSE(cache.get(key_of(6))) << "also for one that was never in RAM";
  EXPECT_EQ(cache.purge({}), 249U - 2U);
  EXPECT_EQ(cache.tiers().disk()->stats().entries, 0U);
}

/// What is kept is what a list shows, written or not; and a look below RAM is no hit of the disk's.
TEST_F(DiskStoreTest, WhatIsKeptAndWhatIsCountedBelowRam) {
  base::FakeClock clock;
  {
    ResponseCache cache({.entries_max = 100}, clock);
    cache.tiers().set_disk(open());
    for (int i = 0; i < 150; ++i) {
      ASSERT_TRUE(
          cache.store(key_of(i), Value{json(i)}, {.ttl_s = i == 9 ? std::optional(60.0) : std::nullopt}));
      ASSERT_EQ(cache.tiers().kept().entries, static_cast<std::uint64_t>(i) + 1) << "stored again is one";
      ASSERT_TRUE(cache.store(key_of(i / 2), Value{json(i / 2)},
                              {.ttl_s = i / 2 == 9 ? std::optional(60.0) : std::nullopt}));
    }
    EXPECT_EQ(cache.stats().entries, 100U) << "of RAM";
    EXPECT_EQ(cache.purge(Filter::of_key(key_of(20))), 1U);
    EXPECT_EQ(cache.tiers().kept().entries, 149U);
  }
  ResponseCache cache({.entries_max = 100}, clock);
  cache.tiers().set_disk(open());
  EXPECT_EQ(cache.tiers().kept().entries, 149U);
  EXPECT_EQ(cache.stats().entries, 0U);
  std::size_t listed = 0;
  cache.visit({}, [&listed](const Key&, const Entry&) { ++listed; });
  EXPECT_EQ(listed, 149U);
  cache.look(key_of(1), [](const EntryPtr& seen) { EXPECT_NE(seen, nullptr); });
  EXPECT_EQ(cache.purge(Filter::of_key(key_of(2))), 1U);
  EXPECT_EQ(cache.tiers().disk_stats()->hits, 0U);
  EXPECT_EQ(cache.stats().entries, 0U) << "a look brings nothing up";
  EXPECT_TRUE(cache.get(key_of(1)) && cache.get(key_of(1)));
  EXPECT_EQ(cache.tiers().disk_stats()->hits, 1U);
  clock.advance(std::chrono::seconds(100));
  EXPECT_FALSE(cache.get(key_of(9)));
  EXPECT_EQ(cache.tiers().disk_stats()->hits, 1U);
  EXPECT_EQ(cache.stats().expired, 1U) << "also one that was never in RAM";
  EXPECT_EQ(cache.tiers().kept().entries, 147U);
}

}  // namespace
}  // namespace pmt::response_cache
