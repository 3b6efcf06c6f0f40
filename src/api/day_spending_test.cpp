#include "api/day_spending.h"

#include <gtest/gtest.h>

namespace pmt::api {
namespace {

using std::chrono::hours;

class DaySpendingTest : public testing::Test {
 protected:
  base::FakeClock clock;  // begins at 22:13:21 UTC of 2023-11-14
  DaySpending spending{clock};
};

TEST_F(DaySpendingTest, ADayEndsAtMidnight) {
  spending.add("ann", 1.5);
  spending.add("ann", 0.25);
  spending.add("bob", 2);
  EXPECT_DOUBLE_EQ(spending.today("ann"), 1.75);
  EXPECT_DOUBLE_EQ(spending.today("eve"), 0);
  EXPECT_DOUBLE_EQ(spending.seconds_left(), 86'400 - (22 * 3600 + 13 * 60 + 21));
  clock.advance(std::chrono::seconds(static_cast<int>(spending.seconds_left()) - 1));
  EXPECT_DOUBLE_EQ(spending.today("ann"), 1.75);
  clock.advance(std::chrono::seconds(1));
  EXPECT_DOUBLE_EQ(spending.today("ann"), 0);
  spending.add("ann", 3);
  EXPECT_DOUBLE_EQ(spending.today("ann"), 3);
  EXPECT_DOUBLE_EQ(spending.seconds_left(), 86'400);
}

TEST_F(DaySpendingTest, ARestartGoesOnWithTheSameDay) {
  spending.add("ann", 1.5);
  spending.add("b \"o\" b", 2);
  const std::string state = spending.state();
  EXPECT_EQ(state, R"({"day":"2023-11-14","usd":{"ann":1.5,"b \"o\" b":2.0}})");
  DaySpending again(clock);
  again.add("ann", 1);
  ASSERT_TRUE(again.restore(state));
  EXPECT_DOUBLE_EQ(again.today("ann"), 2.5);
  EXPECT_DOUBLE_EQ(again.today("b \"o\" b"), 2);
  clock.advance(hours(2));
  DaySpending tomorrow(clock);
  ASSERT_TRUE(tomorrow.restore(state)) << "another day's is no mistake";
  EXPECT_DOUBLE_EQ(tomorrow.today("ann"), 0);
  EXPECT_EQ(again.state(), R"({"day":"2023-11-15","usd":{}})");
}

TEST_F(DaySpendingTest, WhatIsNoStateAddsNothing) {
  for (const char* state :
       {"", "7", "{}", R"({"day":"2023-11-14"})", R"({"day":5,"usd":{}})",
        R"({"day":"2023-11-14","usd":[1]})", R"({"day":"2023-11-14","usd":{"ann":5,"bob":-1}})",
        R"({"day":"2023-11-14","usd":{"ann":5,"bob":"x"}})",
        R"({"day":"2023-11-14","usd":{"ann":5,"bob":1e300}})", "{\"day\":\"2023-11-14\",\"usd\":{\"ann\":"}) {
    const base::Status restored = spending.restore(state);
    ASSERT_FALSE(restored) << state;
    EXPECT_EQ(restored.error().code, base::Code::kCorrupt) << state;
  }
  EXPECT_DOUBLE_EQ(spending.today("ann"), 0);
}

TEST_F(DaySpendingTest, ItsVersionTellsWhetherThereIsSomethingToKeep) {
  const std::uint64_t before = spending.version();
  spending.refused("ann");
  EXPECT_EQ(spending.version(), before);
  EXPECT_EQ(spending.refusals("ann"), 1U);
  spending.add("ann", 1);
  EXPECT_NE(spending.version(), before);
  EXPECT_EQ(spending.refusals("ann"), 1U);
}

}  // namespace
}  // namespace pmt::api
