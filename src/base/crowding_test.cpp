#include "base/crowding.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace pmt::base {
namespace {

using std::chrono::milliseconds;

constexpr CrowdSample kAlone{milliseconds(20), Nanos(0)}, kTaken{milliseconds(20), milliseconds(20)};

/// What it decides after each sample: 'c' crowded, '.' not.
std::string decisions(Crowding& crowding, CrowdSample sample, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) {
    crowding.observe(sample);
    out += crowding.crowded() ? 'c' : '.';
  }
  return out;
}

struct Case {
  const char* what;
  CrowdSample sample;
  std::string expected;
};

TEST(CrowdingTest, IsDecidedByWhatWasWaitedBeyondAQuarter) {
  const std::vector<Case> cases = {
      {"alone", kAlone, "......"},
      {"half of the time without a core, both members", kTaken, ".ccccc"},
      {"both members all the time", {milliseconds(20), milliseconds(40)}, "cccccc"},
      {"one busy process beside two members", {milliseconds(20), milliseconds(10)}, "....cc"},
      {"a quarter", {milliseconds(20), milliseconds(5)}, "......"},
      {"steps as long as many windows", {milliseconds(500), milliseconds(160)}, "cc.cc"},
      {"steps as long as many windows, less", {milliseconds(500), milliseconds(120)}, "......"},
      {"steps of a millisecond", {milliseconds(1), milliseconds(1)}, "..........................cc"},
  };
  for (const Case& each : cases) {
    Crowding crowding;
    EXPECT_EQ(decisions(crowding, each.sample, static_cast<int>(each.expected.size())), each.expected)
        << each.what;
  }
}

TEST(CrowdingTest, WhatAnIdleMachineTakesNowAndThenIsNoCrowd) {
  Crowding crowding;
  // Seen on idle virtual machines, tokens of 50 ms: a tenth to a third of one in seven.
  for (const int waited_ms : {5, 0, 0, 18, 0, 7, 6, 0, 0, 0, 17, 0, 0, 9, 8, 0, 0, 18, 7, 0}) {
    EXPECT_FALSE(crowding.observe({milliseconds(54), milliseconds(waited_ms)}));
    EXPECT_FALSE(crowding.crowded());
  }
}

/// Samples of 20 ms until the state is another one.
int until_changed(Crowding& crowding, CrowdSample sample) {
  for (int i = 1; i <= 2000; ++i) {  // whole windows
    if (crowding.observe(sample)) return i;
  }
  return -1;
}

TEST(CrowdingTest, LooksAgainLaterAndLater) {
  Crowding crowding;
  EXPECT_EQ(until_changed(crowding, kTaken), 2);
  for (const int hold : {50, 100, 200, 400, 400}) {
    EXPECT_EQ(until_changed(crowding, kTaken), hold);
    EXPECT_FALSE(crowding.crowded()) << "it looks";
    EXPECT_EQ(until_changed(crowding, kTaken), 2);
    EXPECT_TRUE(crowding.crowded());
  }
}

TEST(CrowdingTest, ForgetsACrowdThatHasGone) {
  Crowding crowding;
  until_changed(crowding, kTaken);
  EXPECT_EQ(until_changed(crowding, kTaken), 50);
  until_changed(crowding, kTaken);
  EXPECT_EQ(until_changed(crowding, kAlone), 100) << "what is measured meanwhile doesn't count";
  EXPECT_EQ(until_changed(crowding, kAlone), -1);
  EXPECT_FALSE(crowding.crowded());
  EXPECT_EQ(until_changed(crowding, kTaken), 2);
  EXPECT_EQ(until_changed(crowding, kTaken), 50) << "the next crowd is held as the first one was";
}

TEST(CrowdingTest, CalmThatCameBeforeIsNotAveragedIn) {
  Crowding crowding;
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(crowding.observe(kAlone));
  crowding.observe(kTaken);
  EXPECT_TRUE(crowding.observe(kTaken));
}

TEST(CrowdingTest, CalmBetweenTakesTheExcessAway) {
  Crowding crowding;
  for (int i = 0; i < 200; ++i) {
    EXPECT_FALSE(crowding.observe(kTaken));
    for (int j = 0; j < 3; ++j) EXPECT_FALSE(crowding.observe(kAlone));
  }
}

}  // namespace
}  // namespace pmt::base
