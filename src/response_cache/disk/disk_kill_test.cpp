// The disk under kill -9 (10 rounds in each run of the tests, 200 in the slow one), and a start with many
// entries.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "response_cache/disk/disk_store.h"
#include "response_cache/response_cache.h"

namespace pmt::response_cache {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

#ifdef PMT_SLOW_TESTS
constexpr int kRounds = 200;
#else
constexpr int kRounds = 10;
#endif

Key key_of(int i) {
  return base::sha256(std::to_string(i));
}
std::string text_of(int i) {
  return std::string(static_cast<std::size_t>(i % 3000), 'a') + std::to_string(i);
}
std::shared_ptr<const Entry> entry_of(std::string text) {
  auto entry = std::make_shared<Entry>();
  entry->bytes = text.size() + 500;
  entry->value.content = std::move(text);
  return entry;
}
json value_of(const std::optional<OutsideEntry>& entry) {
  return entry ? std::get<json>(entry->value.content) : json("absent");
}

class DiskKillTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = fs::temp_directory_path() / fmt::format("permutation-kill-{}", getpid());
    fs::remove_all(path_);
  }
  void TearDown() override { fs::remove_all(path_); }
  DiskOptions options() {
    return {.path = path_.string(), .bytes_max = 4ULL << 30, .on_warning = [this](const std::string& text) {
              warnings_.push_back(text);
            }};
  }
  std::unique_ptr<DiskStore> open_store() {
    auto store = DiskStore::open(options());
    EXPECT_TRUE(store) << store.error().message;
    return store ? std::move(*store) : nullptr;
  }
  fs::path path_;
  std::vector<std::string> warnings_;
};

/// A child writes until it is killed, telling through a pipe what it was promised to be durable.
TEST_F(DiskKillTest, AKillInTheMiddleOfWritingLosesNothingPromised) {
  int next = 0, promised = -1;
  for (int round = 0; round < kRounds; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      auto store = DiskStore::open(options());
      if (!store) _exit(2);
      for (int i = next;; ++i) {
        (*store)->put(key_of(i), entry_of(text_of(i)));
        if (i % 7 != 0) continue;
        if (!(*store)->flush()) _exit(3);
        if (write(ends[1], &i, sizeof i) != sizeof i) _exit(4);
      }
    }
    close(ends[1]);
    int told = -1;
    const int wanted = 5 + 3 * (round % 20);
    for (int n = 0; n < wanted && read(ends[0], &told, sizeof told) == sizeof told; ++n) promised = told;
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    while (read(ends[0], &told, sizeof told) == sizeof told) promised = told;
    close(ends[0]);

    const auto store = open_store();
    ASSERT_TRUE(warnings_.empty()) << warnings_.front();
    for (int i = 0; i <= promised; ++i) {
      if (i < next - 2000 && i % 53 != round % 53) continue;  // the long test reads old ones in turn
      ASSERT_EQ(value_of(store->get(key_of(i))), text_of(i))
          << i << " of " << promised << " promised, round " << round;
    }
    EXPECT_EQ(store->stats().corrupt, 0U);
    next = promised + 1;
  }
}

#ifdef PMT_SLOW_TESTS
/// A promise: a server that restarts with a million entries answers hits within 2 s.
TEST_F(DiskKillTest, AMillionEntriesAreThereAtOnce) {
  constexpr int kEntries = 1'000'000;
  {
    const auto store = open_store();
    for (int i = 0; i < kEntries; ++i) {
      store->put(key_of(i), entry_of(std::string(100, 'v') + std::to_string(i)));
      if (i % 50'000 != 0) continue;
      ASSERT_TRUE(store->flush());
    }
    ASSERT_TRUE(store->flush());
    ASSERT_EQ(store->stats().entries, static_cast<std::uint64_t>(kEntries));
  }
  const auto begin = std::chrono::steady_clock::now();
  const base::SystemClock clock;
  ResponseCache cache({}, clock);
  cache.tiers().set_disk(open_store());
  ASSERT_NE(cache.get(key_of(777'777)), nullptr);
  const double took_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  RecordProperty("seconds", fmt::format("{:.3f}", took_s));
  fmt::print("first hit {:.3f} s after the start, of {} entries\n", took_s, kEntries);
  EXPECT_LT(took_s, 2);
}
#endif

}  // namespace
}  // namespace pmt::response_cache
