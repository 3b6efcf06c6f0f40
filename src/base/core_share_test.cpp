#include "base/core_share.h"

#include <vector>

#include <gtest/gtest.h>

namespace pmt::base {
namespace {

using std::chrono::milliseconds;

struct Case {
  int cores, wanted;
  std::vector<int> parts;  // of as many that compute at once
};

TEST(CoreShareTest, DividesTheCoresAmongThoseThatCompute) {
  const std::vector<Case> cases = {{2, 2, {2}},         {2, 2, {1, 1}}, {2, 2, {1, 1, 1}}, {2, 1, {1, 1}},
                                   {3, 3, {2, 1}},      {8, 8, {4, 4}}, {8, 8, {3, 3, 2}}, {8, 2, {2, 2, 2}},
                                   {8, 6, {4, 4}},      {1, 1, {1, 1}}, {2, 4, {4}},       {2, 4, {1, 1}},
                                   {5, 5, {2, 1, 1, 1}}};
  for (const Case& each : cases) {
    CoreShare share(each.cores);
    std::vector<int> places, parts;
    for (std::size_t i = 0; i < each.parts.size(); ++i) places.push_back(share.join());
    for (const int place : places) share.begin(place, each.wanted, Nanos(0));
    for (const int place : places) share.end(place, Nanos(0));
    for (const int place : places) parts.push_back(share.begin(place, each.wanted, Nanos(0)));
    EXPECT_EQ(parts, each.parts) << each.cores << " cores, " << each.wanted << " wanted";
  }
}

TEST(CoreShareTest, WhoRestsForAMomentStillCounts) {
  CoreShare share(2);
  const int first = share.join(), second = share.join();
  EXPECT_EQ(share.begin(first, 2, milliseconds(0)), 2) << "the other one never computed";
  EXPECT_EQ(share.begin(second, 2, milliseconds(1)), 1);
  share.end(first, milliseconds(2));
  share.end(second, milliseconds(3));
  EXPECT_EQ(share.begin(second, 2, milliseconds(21)), 1);
  share.end(second, milliseconds(21));
  EXPECT_EQ(share.begin(second, 2, milliseconds(22)), 2) << "20 ms of rest are over";
  share.end(second, milliseconds(22));
}

TEST(CoreShareTest, WhoHasLeftDoesntCount) {
  CoreShare share(2);
  const int first = share.join(), second = share.join();
  share.begin(first, 2, milliseconds(0));
  share.end(first, milliseconds(1));
  share.leave(first);
  EXPECT_EQ(share.begin(second, 2, milliseconds(1)), 2);
}

}  // namespace
}  // namespace pmt::base
