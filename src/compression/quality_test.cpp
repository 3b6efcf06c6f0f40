#include "compression/quality.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

namespace pmt::compression {
namespace {

constexpr std::int64_t kEmbedded = 98'362'432;

TEST(KvQuality, ExactIsSafeForEveryMeasuredTaskAndOtherModelsForNone) {
  std::set<std::string> tasks;
  for (const KvMeasurement& each : kv_measurements(kEmbedded)) tasks.insert(each.task);
  EXPECT_GE(tasks.size(), 8U);
  EXPECT_EQ(safe_tasks(kEmbedded, Mode::kExact, 1).size(), tasks.size());
  EXPECT_TRUE(safe_tasks(12345, Mode::kExact, 1).empty());
}

TEST(KvQuality, ARatioIsJudgedByTheNextMeasuredOne) {
  const auto at_8 = safe_tasks(kEmbedded, Mode::kQueryAware, 8);
  EXPECT_EQ(safe_tasks(kEmbedded, Mode::kQueryAware, 5), at_8);
  EXPECT_EQ(safe_tasks(kEmbedded, Mode::kQueryAware, 9), safe_tasks(kEmbedded, Mode::kQueryAware, 64));
  for (const KvMeasurement& each : kv_measurements(kEmbedded)) {
    if (each.mode != Mode::kQueryAware || each.ratio != 8) continue;
    EXPECT_EQ(std::count(at_8.begin(), at_8.end(), each.task), each.kept >= kSafeShare ? 1 : 0) << each.task;
  }
}

}  // namespace
}  // namespace pmt::compression
