#include "api/rate_limit.h"

#include <gtest/gtest.h>

namespace pmt::api {
namespace {

using std::chrono::seconds;

TEST(RateBucket, RefillsEvenlyAndNeverAboveItsLimit) {
  base::FakeClock clock;
  RateBucket bucket(60, clock);
  for (int i = 0; i < 60; ++i) EXPECT_TRUE(bucket.try_take(1)) << i;
  EXPECT_FALSE(bucket.try_take(1));
  EXPECT_NEAR(bucket.seconds_until(1), 1, 1e-9);
  clock.advance(seconds(2));
  EXPECT_TRUE(bucket.try_take(1));
  EXPECT_TRUE(bucket.try_take(1));
  EXPECT_FALSE(bucket.try_take(1));
  clock.advance(seconds(3600));
  EXPECT_DOUBLE_EQ(bucket.remaining(), 60);
}

TEST(RateBucket, ADebtIsPaidBeforeAnybodyIsLetIn) {
  base::FakeClock clock;
  RateBucket bucket(600, clock);
  bucket.charge(1200);
  EXPECT_DOUBLE_EQ(bucket.remaining(), 0);
  EXPECT_NEAR(bucket.seconds_until(0), 60, 1e-6);
  EXPECT_FALSE(bucket.try_take(1));
  clock.advance(seconds(61));
  EXPECT_TRUE(bucket.try_take(1));
}

TEST(RateBucket, ZeroIsNoLimit) {
  base::FakeClock clock;
  RateBucket bucket(0, clock);
  EXPECT_FALSE(bucket.limited());
  bucket.charge(1e9);
  EXPECT_TRUE(bucket.try_take(1e9));
  EXPECT_EQ(bucket.seconds_until(1e9), 0);
}

TEST(RateBucket, DurationsReadAsOpenAiWritesThem) {
  EXPECT_EQ(duration_text(0), "0ms");
  EXPECT_EQ(duration_text(0.12), "120ms");
  EXPECT_EQ(duration_text(1.5), "1.5s");
  EXPECT_EQ(duration_text(359.2), "6m0s");
}

}  // namespace
}  // namespace pmt::api
