#include "base/crowding.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace pmt::base {
namespace {

using std::chrono::milliseconds;

constexpr CrowdSample kAlone{milliseconds(10), Nanos(0)}, kTaken{milliseconds(10), milliseconds(5)};

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

TEST(CrowdingTest, IsDecidedByTheShareOfAWindow) {
  const std::vector<Case> cases = {
      {"alone", kAlone, "...."},
      {"half of the time without a core", kTaken, ".ccc"},
      {"a tenth, of one member", {milliseconds(10), milliseconds(1)}, ".ccc"},
      {"less", {milliseconds(10), std::chrono::microseconds(999)}, "...."},
      {"both members all the time", {milliseconds(10), milliseconds(20)}, ".ccc"},
      {"steps as long as many windows", {milliseconds(500), milliseconds(60)}, "cc.c"},
      {"steps of a millisecond", {milliseconds(1), milliseconds(1)}, "...................c"},
  };
  for (const Case& each : cases) {
    Crowding crowding;
    EXPECT_EQ(decisions(crowding, each.sample, static_cast<int>(each.expected.size())), each.expected)
        << each.what;
  }
}

/// Samples of 10 ms until the state is another one.
int until_changed(Crowding& crowding, CrowdSample sample) {
  for (int i = 1; i <= 2000; ++i) {  // whole windows
    if (crowding.observe(sample)) return i;
  }
  return -1;
}

TEST(CrowdingTest, LooksAgainLaterAndLater) {
  Crowding crowding;
  EXPECT_EQ(until_changed(crowding, kTaken), 2);
  for (const int hold : {100, 200, 400, 800, 800}) {
    EXPECT_EQ(until_changed(crowding, kTaken), hold);
    EXPECT_FALSE(crowding.crowded()) << "a window to look";
    EXPECT_EQ(until_changed(crowding, kTaken), 2);
    EXPECT_TRUE(crowding.crowded());
  }
}

TEST(CrowdingTest, ForgetsACrowdThatHasGone) {
  Crowding crowding;
  until_changed(crowding, kTaken);
  EXPECT_EQ(until_changed(crowding, kTaken), 100);
  until_changed(crowding, kTaken);
  EXPECT_EQ(until_changed(crowding, kAlone), 200) << "what is measured meanwhile doesn't count";
  EXPECT_EQ(until_changed(crowding, kAlone), -1);
  EXPECT_FALSE(crowding.crowded());
  EXPECT_EQ(until_changed(crowding, kTaken), 2);
  EXPECT_EQ(until_changed(crowding, kTaken), 100) << "the next crowd is held as the first one was";
}

TEST(CrowdingTest, AWindowBeginsAnewAfterEachDecision) {
  Crowding crowding;
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(crowding.observe(kAlone));
  crowding.observe(kTaken);
  EXPECT_TRUE(crowding.observe(kTaken)) << "the calm before it is not averaged in";
}

}  // namespace
}  // namespace pmt::base
