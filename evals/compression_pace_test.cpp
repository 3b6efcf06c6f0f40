#include "evals/compression_pace.h"

#include <atomic>

#include <gtest/gtest.h>

namespace pmt::evals {
namespace {

using std::chrono::milliseconds;

TEST(Pace, ExpectsWhatItsKindTook) {
  Pace pace;
  EXPECT_FALSE(pace.expected("text", 4096));
  pace.took("text", 4096, 40);
  pace.took("text", 4096, 60);
  pace.took("query_aware 8", 4096, 10);
  EXPECT_DOUBLE_EQ(*pace.expected("text", 4096), 50);
  EXPECT_DOUBLE_EQ(*pace.expected("text", 8192), 100) << "twice the tokens";
  EXPECT_DOUBLE_EQ(*pace.expected("query_aware 8", 4096), 10);
  EXPECT_DOUBLE_EQ(*pace.expected("query_aware 64", 4096), 110.0 / 3) << "a kind that wasn't seen: the mean";
}

TEST(Pace, DurationsAreSaidShortly) {
  EXPECT_EQ(duration_text(0), "0 s");
  EXPECT_EQ(duration_text(119), "119 s");
  EXPECT_EQ(duration_text(2100), "35 min");
  EXPECT_EQ(duration_text(11520), "3.2 h");
}

TEST(Ticker, CallsUntilItEnds) {
  std::atomic<int> calls = 0;
  {
    const Ticker ticker(milliseconds(1), [&](double seconds) {
      EXPECT_GE(seconds, 0.001);
      ++calls;
    });
    while (calls < 3) std::this_thread::sleep_for(milliseconds(1));
  }
  const int at_end = calls;
  std::this_thread::sleep_for(milliseconds(10));
  EXPECT_EQ(calls, at_end);
}

TEST(Ticker, ARequestThatIsQuickIsSilent) {
  bool called = false;
  {
    const Ticker ticker(std::chrono::hours(1), [&](double) { called = true; });
  }
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace pmt::evals
