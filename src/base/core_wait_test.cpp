#include "base/core_wait.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pmt::base {
namespace {

namespace fs = std::filesystem;

class CoreWaitTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "pmt_core_wait_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    proc_ = name;
  }
  void TearDown() override { fs::remove_all(proc_); }
  void write(int thread, const std::string& text) {
    const fs::path folder = proc_ / "self/task" / std::to_string(thread);
    fs::create_directories(folder);
    std::ofstream(folder / "schedstat") << text;
  }

  fs::path proc_;
};

TEST_F(CoreWaitTest, AddsUpWhatTheKernelCounts) {
  write(7, "9000 1200 3\n");
  write(static_cast<int>(::gettid()), "100 30 2\n");
  const CoreWait wait({7}, proc_);
  EXPECT_EQ(wait.read(), Nanos(1230));
  write(7, "9500 1300 4\n");
  EXPECT_EQ(wait.read(), Nanos(1330)) << "read anew each time";
}

TEST_F(CoreWaitTest, KnowsNothingWhereNothingIsCounted) {
  EXPECT_EQ(CoreWait({}, proc_).read(), std::nullopt) << "no file";
  for (const char* text : {"", "12", "12 ", "12 x 3", "12 -4 3"}) {
    write(static_cast<int>(::gettid()), text);
    EXPECT_EQ(CoreWait({}, proc_).read(), std::nullopt) << text;
  }
}

TEST_F(CoreWaitTest, GrowsWhereThreadsOutnumberTheCores) {
  const CoreWait wait({});
  const auto before = wait.read();
  if (!before) GTEST_SKIP() << "this kernel keeps no scheduler statistics";
  std::atomic<bool> stop = false;
  std::vector<std::thread> others;
  for (unsigned i = 0; i < 2 * std::thread::hardware_concurrency(); ++i)
    others.emplace_back([&] {
      while (!stop.load(std::memory_order_relaxed)) {
      }
    });
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
  while (std::chrono::steady_clock::now() < end) {
  }
  stop = true;
  for (auto& other : others) other.join();
  // A third of the cores is ours: two thirds of the time we waited. A tenth is enough to tell.
  EXPECT_GT(*wait.read() - *before, std::chrono::milliseconds(20));
}

}  // namespace
}  // namespace pmt::base
