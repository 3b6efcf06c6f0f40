#include "api/observe/history.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::api {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr const HistoryRange &kHour = kHistoryRanges[0], &kDay = kHistoryRanges[1],
                             &kWeek = kHistoryRanges[2], &kMonth = kHistoryRanges[3];

/// One request that a model computed, its first token after `ms`.
HistorySlot computed(double ms = 100) {
  HistorySlot slot;
  slot.requests[static_cast<std::size_t>(AnsweredBy::kComputed)] = 1;
  slot.first_token.add(ms);
  slot.tokens_written = 20;
  slot.usd_spent = 0.5;
  return slot;
}
std::uint64_t requests(const HistorySlot& slot) {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : slot.requests) sum += count;
  return sum;
}

class HistoryTest : public testing::Test {
 protected:
  /// Which steps are known, from the last one backwards: "1" or "-".
  std::string known(const HistoryRange& range, std::size_t count) const {
    const HistorySpan span = history.span(range);
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += span.steps[span.steps.size() - 1 - i] ? '1' : '-';
    return out;
  }
  base::FakeClock clock;
  History history{clock};
};

TEST_F(HistoryTest, EachRangeHasItsStepsAndTheLastHoldsNow) {
  history.add(computed());
  for (const HistoryRange& range : kHistoryRanges) {
    const HistorySpan span = history.span(range);
    EXPECT_EQ(static_cast<std::int64_t>(span.steps.size()), range.span_s / range.step_s) << range.name;
    EXPECT_EQ(span.begin_unix_s % range.step_s, 0) << range.name;
    const std::int64_t last = span.begin_unix_s + range.span_s - range.step_s;
    EXPECT_LE(last, clock.unix_seconds()) << range.name;
    EXPECT_GT(last + range.step_s, clock.unix_seconds()) << range.name;
    ASSERT_TRUE(span.steps.back()) << range.name;
    EXPECT_EQ(requests(*span.steps.back()), 1U) << range.name;
    EXPECT_EQ(requests(span.total), 1U) << range.name;
    EXPECT_FALSE(span.before) << range.name;
  }
}

TEST_F(HistoryTest, CountsAddUpAndGaugesAreTheMost) {
  HistorySlot one = computed();
  one.waiting = 3;
  one.kv_bytes = 10;
  history.add(one);
  one.waiting = 1;
  one.kv_bytes = 20;
  history.add(one);
  const HistorySlot slot = *history.span(kDay).steps.back();
  EXPECT_EQ(requests(slot), 2U);
  EXPECT_EQ(slot.tokens_written, 40);
  EXPECT_EQ(slot.usd_spent, 1.0);
  EXPECT_EQ(slot.waiting, 3);
  EXPECT_EQ(slot.kv_bytes, 20);
}

TEST_F(HistoryTest, WhereNothingWasAddedIsAGap) {
  history.add(computed());
  clock.advance(seconds(90));
  history.add({});  // the server ran, and nobody asked
  EXPECT_EQ(known(kHour, 5), "1--1-");
  EXPECT_EQ(requests(*history.span(kHour).steps.back()), 0U);
}

TEST_F(HistoryTest, OldSlotsGiveTheirPlaceToNewOnes) {
  history.add(computed());
  clock.advance(hours(24));  // the same place in the finer ring
  history.add(computed());
  EXPECT_EQ(requests(history.span(kHour).total), 1U);
  EXPECT_EQ(requests(history.span(kWeek).total), 2U);
  clock.advance(hours(24 * 30));
  EXPECT_EQ(requests(history.span(kMonth).total), 0U);
  history.add(computed());
  EXPECT_EQ(requests(history.span(kMonth).total), 1U);
}

TEST_F(HistoryTest, TheTimeBeforeIsKnownForTrends) {
  history.add(computed());
  history.add(computed());
  clock.advance(hours(1));
  history.add(computed());
  const HistorySpan span = history.span(kHour);
  EXPECT_EQ(requests(span.total), 1U);
  ASSERT_TRUE(span.before);
  EXPECT_EQ(requests(*span.before), 2U);
  EXPECT_FALSE(history.span(kMonth).before) << "the rings don't reach so far";
}

TEST_F(HistoryTest, AClockThatGoesBackAddsToTheSlotsThatItMeetsAgain) {
  history.add(computed());
  clock.advance(minutes(30));
  history.add(computed());
  clock.advance(-minutes(30));
  history.add(computed());
  EXPECT_EQ(requests(*history.span(kHour).steps.back()), 2U);
  EXPECT_EQ(requests(history.span(kHour).total), 2U) << "what lies after now isn't shown";
  clock.advance(minutes(30));
  EXPECT_EQ(requests(history.span(kHour).total), 3U) << "until it is now, and nothing is lost";
}

TEST_F(HistoryTest, IsTheSameAfterARestart) {
  history.add(computed(50));
  clock.advance(minutes(20));
  history.add(computed(400));
  History next(clock);
  next.add(computed(50));  // what came before the file was read stays
  ASSERT_TRUE(next.restore(history.state()));
  EXPECT_EQ(requests(next.span(kHour).total), 3U);
  EXPECT_EQ(next.span(kHour).total.first_token.samples(), 3U);
  EXPECT_EQ(next.span(kWeek).total.usd_spent, 1.5);
  clock.advance(hours(24));
  History later(clock);
  later.add(computed());  // in the place of one that is older
  ASSERT_TRUE(later.restore(history.state()));
  EXPECT_EQ(requests(later.span(kHour).total), 1U);
}

TEST_F(HistoryTest, WhatLiesAfterARestartsClockIsLeftOut) {
  clock.advance(hours(2));
  history.add(computed());
  clock.advance(-hours(2));
  History next(clock);
  ASSERT_TRUE(next.restore(history.state()));
  clock.advance(hours(2));
  EXPECT_EQ(requests(next.span(kHour).total), 0U);
}

TEST_F(HistoryTest, EveryDamageIsSeenAndNothingOfItIsTaken) {
  history.add(computed());
  const std::string whole = history.state();
  History next(clock);
  const auto refused = [&next](const std::string& text) {
    const base::Status done = next.restore(text);
    return !done && done.error().code == base::Code::kCorrupt;
  };
  for (std::size_t i = 0; i < whole.size(); i += 7) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    EXPECT_TRUE(refused(damaged)) << i;
    EXPECT_TRUE(refused(whole.substr(0, i))) << i;
  }
  EXPECT_TRUE(refused(whole + "x"));
  EXPECT_TRUE(refused(""));
  EXPECT_EQ(next.version(), 0U);
  EXPECT_TRUE(next.restore(whole));
}

TEST_F(HistoryTest, ThreadsMayAddReadAndKeep) {
  constexpr int kAdds = 2000;
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([this] {
      for (int n = 0; n < kAdds; ++n) history.add(computed());
    });
  threads.emplace_back([this] {
    for (int n = 0; n < 20; ++n) {
      (void)history.span(kDay);
      (void)history.state();
      clock.advance(seconds(1));
    }
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(requests(history.span(kHour).total), 2U * kAdds);
}

TEST(FirstTokenTimes, PercentilesAreNearTheRight) {
  FirstTokenTimes times;
  EXPECT_FALSE(times.quantile(0.5));
  for (int ms = 1; ms <= 1000; ++ms) times.add(ms);
  EXPECT_NEAR(*times.quantile(0.5), 500, 75);
  EXPECT_NEAR(*times.quantile(0.95), 950, 142);
  times = {};
  times.add(1e9);
  times.add(0);
  EXPECT_EQ(times.samples(), 2U);
  EXPECT_LE(*times.quantile(0.5), FirstTokenTimes::kFirstMs);
  EXPECT_GT(*times.quantile(1), 300'000);
}

}  // namespace
}  // namespace pmt::api
