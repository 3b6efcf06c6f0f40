// Damage of every kind in a real store's file: either it is found, or the file can be used as if it were
// whole.
#include "response_cache/disk/store_check.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <map>
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "response_cache/disk/disk_store.h"

namespace pmt::response_cache {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

#ifdef PMT_SLOW_TESTS
constexpr int kRounds = 5'000, kEntries = 600;
#else
constexpr int kRounds = 300, kEntries = 120;
#endif
constexpr std::size_t kPage = 4096;

Key key_of(int i) {
  return base::sha256(std::to_string(i));
}
/// Some on a page with others, some on pages of their own.
std::string text_of(int i) {
  return std::string(static_cast<std::size_t>(i % 7 == 0 ? 9'000 : 100 + i % 500), 'a') + std::to_string(i);
}
std::shared_ptr<const Entry> entry_of(std::string text) {
  auto entry = std::make_shared<Entry>();
  entry->bytes = text.size() + 500;
  entry->value.content = json(std::move(text));
  return entry;
}

class StoreCheck : public testing::Test {
 protected:
  void SetUp() override {
    // In memory where that is possible: hundreds of stores are written, each with syncs.
    const fs::path root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : fs::temp_directory_path();
    path_ = root / fmt::format("permutation-check-{}", getpid());
    fs::remove_all(path_);
  }
  void TearDown() override { fs::remove_all(path_); }
  std::string file() const { return (path_ / "responses.mdb").string(); }
  std::unique_ptr<DiskStore> open() {
    auto store = DiskStore::open({.path = path_.string(),
                                  .bytes_max = 64 << 20,
                                  .on_warning = [this](const auto& text) { warnings_.push_back(text); }});
    EXPECT_TRUE(store) << store.error().message;
    return store ? std::move(*store) : nullptr;
  }
  /// Several transactions that write, replace and remove: so there are free pages of several, and three
  /// levels.
  void make_store(int entries) {
    const auto store = open();
    for (int round = 0; round < 6; ++round) {
      for (int i = round; i < entries; i += round % 3 + 1)
        store->put(key_of(i), entry_of(text_of(i + round)));
      ASSERT_TRUE(store->flush());
      for (int i = round * 5; i < entries; i += 6) store->erase(key_of(i));
      ASSERT_TRUE(store->flush());
    }
  }
  /// What a server does with its store, in a process that may die of it. Returns its wait status.
  int use_in_child(int entries) {
    const pid_t child = fork();
    if (child == 0) _exit(use(entries));
    int status = 0;
    waitpid(child, &status, 0);
    return status;
  }
  int use(int entries) {
    alarm(60);
    {
      auto store = DiskStore::open({.path = path_.string(), .bytes_max = 64 << 20});
      if (!store) return 2;
      DiskStore& disk = **store;
      for (int i = 0; i < entries; ++i) (void)disk.get(key_of(i));
      disk.visit(Key{}, key_of(0), [](OutsideEntry) {});
      for (int i = 0; i < entries; i += 3) disk.put(key_of(i), entry_of(text_of(i + 1)));
      if (!disk.flush()) return 3;
      for (int i = 0; i < entries; i += 5) disk.erase(key_of(i));
      if (!disk.flush()) return 4;
      for (int i = entries; i < entries + 300; ++i) disk.put(key_of(i), entry_of(text_of(i)));
      if (!disk.flush()) return 5;
      disk.purge([](const Key& key, const StoreOptions&) { return key.bytes[0] % 3 == 0; });
    }
    return check_store(file()) ? 0 : 6;  // and nothing that it missed has spread
  }

  fs::path path_;
  std::vector<std::string> warnings_;
};

TEST_F(StoreCheck, WholeFilesPass) {
  fs::create_directories(path_);
  EXPECT_EQ(check_store(file()).error().code, base::Code::kNotFound);
  ASSERT_TRUE(base::replace_file(file(), ""));
  EXPECT_TRUE(check_store(file()));
  { const auto store = open(); }
  EXPECT_TRUE(check_store(file())) << "without an entry";
  for (const int entries : {1, 2, 50, 3000}) {
    make_store(entries);
    const auto whole = check_store(file());
    EXPECT_TRUE(whole) << entries << " entries: " << whole.error().message;
  }
  {
    open()->purge([](const Key&, const StoreOptions&) { return true; });
  }
  const auto empty = check_store(file());
  EXPECT_TRUE(empty) << empty.error().message;
  EXPECT_TRUE(warnings_.empty());
}

enum class Harm { kBit, kByte, kWord, kHeaderBit, kMetaBit, kZeros, kNoise, kPageTwice, kTruncate, kLonger };

/// One harm of this kind, somewhere.
std::string harmed(std::string bytes, Harm harm, std::mt19937_64& random) {
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  const std::size_t pages = bytes.size() / kPage;
  const auto flip = [&](std::size_t at) { bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8))); };
  switch (harm) {
    case Harm::kBit:
      flip(below(bytes.size()));
      break;
    case Harm::kByte:
      bytes[below(bytes.size())] = static_cast<char>(random());
      break;
    case Harm::kWord:
      for (std::size_t i = 0, at = below(bytes.size() / 8) * 8; i < 8; ++i)
        bytes[at + i] = static_cast<char>(random());
      break;
    case Harm::kHeaderBit:  // of a page, or of an item's place
      flip(below(pages) * kPage + below(64));
      break;
    case Harm::kMetaBit:
      flip(below(2) * kPage + below(160));
      break;
    case Harm::kZeros:
      bytes.replace(below(pages) * kPage + below(2) * 512, 512, 512, '\0');
      break;
    case Harm::kNoise:
      for (std::size_t i = 0, at = below(pages) * kPage; i < kPage; ++i)
        bytes[at + i] = static_cast<char>(random());
      break;
    case Harm::kPageTwice: {  // an old copy, or a write that went elsewhere
      const std::string page = bytes.substr(below(pages) * kPage, kPage);
      bytes.replace(below(pages) * kPage, kPage, page);
      break;
    }
    case Harm::kTruncate:
      bytes.resize(below(bytes.size()));
      break;
    case Harm::kLonger:
      bytes.append(below(10 * kPage), static_cast<char>(random()));
      break;
  }
  return bytes;
}

TEST_F(StoreCheck, NoDamageEndsAServerNowOrLater) {
  make_store(kEntries);
  const std::string good = *base::read_file(file());
  std::mt19937_64 random(20'261'129);
  std::map<Harm, int> found;
  for (int round = 0; round < kRounds; ++round) {
    const auto harm = static_cast<Harm>(round % 10);
    fs::remove_all(path_);
    fs::create_directories(path_);
    ASSERT_TRUE(base::replace_file(file(), harmed(good, harm, random)));
    const auto whole = check_store(file());
    if (!whole) {
      ASSERT_EQ(whole.error().code, base::Code::kCorrupt) << whole.error().message;
      ++found[harm];
    }
    const int status = use_in_child(kEntries);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
        << "round " << round << ", harm " << round % 10 << ", "
        << (whole ? "found whole" : whole.error().message) << ": "
        << (WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : std::to_string(WEXITSTATUS(status)));
  }
  // Not by calling everything damaged: a flipped bit is mostly in a value, which has its own checksum.
  EXPECT_LT(found[Harm::kBit], kRounds / 10 / 2);
  EXPECT_EQ(found[Harm::kLonger], 0);
  EXPECT_GT(found[Harm::kMetaBit], kRounds / 10 / 10);
  EXPECT_GT(found[Harm::kNoise], kRounds / 10 / 20);
}

#ifdef PMT_SLOW_TESTS
TEST_F(StoreCheck, EveryBitOfASmallStoresStructure) {
  make_store(12);
  const std::string good = *base::read_file(file());
  for (std::size_t page = 0; page < good.size() / kPage; ++page) {
    for (std::size_t bit = 0; bit < std::size_t{160} * 8; ++bit) {
      std::string bytes = good;
      const std::size_t at = page * kPage + bit / 8;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << (bit % 8)));
      fs::remove_all(path_);
      fs::create_directories(path_);
      ASSERT_TRUE(base::replace_file(file(), bytes));
      const int status = use_in_child(12);
      ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "page " << page << ", bit " << bit;
    }
  }
}
#endif

TEST_F(StoreCheck, WhatHappensToTheOtherProcessIsAnAnswer) {
  make_store(20);
  const auto apart = [&](const char* script, std::chrono::milliseconds patience = 10s) {
    return check_store_apart(file(), {"/bin/sh", "-c", script}, patience);
  };
  EXPECT_TRUE(apart("exit 0"));
  const auto told = apart("printf 'page 7: it is gone'; exit 3");
  EXPECT_EQ(told.error().code, base::Code::kCorrupt);
  EXPECT_EQ(told.error().message, "page 7: it is gone");
  EXPECT_THAT(apart("kill -SEGV $$").error().message, HasSubstr("Segmentation fault"));
  EXPECT_THAT(apart("kill -BUS $$").error().message, HasSubstr("Bus error"));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(apart("exec sleep 100", 100ms).error().message, HasSubstr("more than 100 ms"));
  EXPECT_THAT(apart("exec >&-; exec sleep 100", 100ms).error().message, HasSubstr("more than 100 ms"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_TRUE(apart("exit 9")) << "no answer: this process looked itself";
  EXPECT_TRUE(check_store_apart(file(), {"/no/such/program"}, 10s));
  fs::resize_file(file(), 10'000);
  EXPECT_EQ(apart("exit 9").error().code, base::Code::kCorrupt);
  EXPECT_EQ(check_store_apart(file(), {"/no/such/program"}, 10s).error().code, base::Code::kCorrupt);
}

TEST_F(StoreCheck, TheStoreSaysWhatItFoundAndWhereItIs) {
  make_store(50);
  fs::resize_file(file(), 3 * kPage);
  const auto store = open();
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_THAT(warnings_[0], HasSubstr("page "));
  EXPECT_EQ(store->stats().set_aside, file() + ".damaged-1");
  EXPECT_TRUE(fs::exists(store->stats().set_aside));
}

TEST_F(StoreCheck, WhatIsNoFileIsLeftAlone) {
  fs::create_directories(file());
  const auto store = DiskStore::open({.path = path_.string()});
  ASSERT_FALSE(store);
  EXPECT_THAT(store.error().message, HasSubstr("a folder"));
  EXPECT_TRUE(fs::is_directory(file()));
}

}  // namespace
}  // namespace pmt::response_cache
