#include "base/fair_share.h"

#include <gtest/gtest.h>

namespace pmt::base {
namespace {

using Taken = FairShare::Taken;

int take_all(FairShare& share, const std::string& tenant) {
  int taken = 0;
  while (share.take(tenant) == Taken::kYes) ++taken;
  return taken;
}

TEST(FairShare, OneTenantNeverHoldsThemAll) {
  for (int places = 2; places <= 64; ++places) {
    FairShare share({.places = places, .shared = true});
    EXPECT_LT(take_all(share, "greedy"), places) << places;
    EXPECT_EQ(share.take("greedy"), Taken::kTenantFull) << places;
    EXPECT_EQ(share.take("late"), Taken::kYes) << places;
  }
}

TEST(FairShare, WhoeverComesLaterGetsAsMuchWhenAllAskForAll) {
  FairShare share({.places = 32, .shared = true});
  EXPECT_EQ(take_all(share, "first"), 16);
  EXPECT_EQ(take_all(share, "second"), 8);
  EXPECT_EQ(take_all(share, "third"), 4);
  for (int i = 0; i < 6; ++i) share.give_back("first");
  EXPECT_EQ(share.held("first"), 10);
  EXPECT_EQ(take_all(share, "second"), 1) << "9 of 10 left";
  EXPECT_EQ(share.take("first"), Taken::kTenantFull);
  EXPECT_EQ(share.take("fourth"), Taken::kYes);
}

TEST(FairShare, ALoneTenantMayHaveThemAllAndTheLastOneGoesToWhoeverHasNone) {
  FairShare lone({.places = 3});
  EXPECT_EQ(take_all(lone, ""), 3);
  EXPECT_EQ(lone.take(""), Taken::kFull);
  FairShare one({.places = 1, .shared = true});
  EXPECT_EQ(one.take("a"), Taken::kYes);
  EXPECT_EQ(one.take("b"), Taken::kFull);
  one.give_back("a");
  one.give_back("a");  // nothing is held: nothing happens
  EXPECT_EQ(one.take("b"), Taken::kYes);
  FairShare capped({.places = 9, .tenant_max = 2});
  EXPECT_EQ(take_all(capped, "a"), 2);
}

}  // namespace
}  // namespace pmt::base
