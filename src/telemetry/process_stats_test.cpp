#include "telemetry/process_stats.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <vector>

#include "base/sanitized.h"

namespace pmt::telemetry {
namespace {

double now_unix_s() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

TEST(ProcessStatsTest, SaysWhenItStartedAndWhatItUsed) {
  const ProcessStats stats = process_stats();
  // Both in whole ticks or seconds; a test's process is young.
  EXPECT_LE(stats.start_unix_s, now_unix_s() + 2);
  EXPECT_GE(stats.start_unix_s, now_unix_s() - 3600);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
  while (std::chrono::steady_clock::now() < end) {
  }
  EXPECT_GT(process_stats().cpu_seconds, stats.cpu_seconds);
  EXPECT_GT(stats.bytes_virtual, stats.bytes_resident);
  EXPECT_GT(stats.bytes_resident, 1u << 20);
}

TEST(ProcessStatsTest, CountsOpenFiles) {
  const ProcessStats before = process_stats();
  const int file = open("/dev/null", O_RDONLY);
  const ProcessStats after = process_stats();
  close(file);
  EXPECT_EQ(after.open_files, before.open_files + 1);
  EXPECT_EQ(process_stats().open_files, before.open_files);
  EXPECT_GT(before.open_files_max, before.open_files);
}

TEST(ProcessStatsTest, CountsWhatIsAllocated) {
  if (base::kSanitized) GTEST_SKIP() << "the sanitizers have allocators of their own";
  const ProcessStats before = process_stats();
  // One block of its own pages, and many small ones.
  constexpr std::size_t kLarge = 64u << 20, kSmall = 1000, kBlocks = 1000;
  auto large = std::make_unique<char[]>(kLarge);
  std::vector<std::unique_ptr<char[]>> small;
  for (std::size_t i = 0; i < kBlocks; ++i) small.push_back(std::make_unique<char[]>(kSmall));
  const ProcessStats during = process_stats();
  EXPECT_GE(during.bytes_allocated, before.bytes_allocated + kLarge + kSmall * kBlocks);
  large.reset();
  small.clear();
  const ProcessStats after = process_stats();
  EXPECT_LT(after.bytes_allocated, before.bytes_allocated + kSmall * kBlocks);
}

}  // namespace
}  // namespace pmt::telemetry
