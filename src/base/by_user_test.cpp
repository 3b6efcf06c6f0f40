#include "base/by_user.h"

#include <numeric>

#include <gtest/gtest.h>

namespace pmt::base {
namespace {

class ByUserTest : public testing::Test {
 protected:
  void add(const User& who) {
    tallies.change(who.view(), [](int& tally) { ++tally; });
    ++added;
  }
  int sum() const {
    const auto all = tallies.all();
    return std::accumulate(all.begin(), all.end(), 0, [](int s, const auto& one) { return s + one.second; });
  }
  ByUser<int> tallies;
  int added = 0;
};

TEST_F(ByUserTest, EachHasItsOwn) {
  add({"m", "a", "ann"});
  add({"m", "a", "ann"});
  add({"m", "a", "amy"});
  add({"n", "b", "bob"});
  const ByUser<int>::Tallies expected = {
      {{"m", "a", "ann"}, 2}, {{"m", "a", "amy"}, 1}, {{"n", "b", "bob"}, 1}};
  EXPECT_EQ(tallies.all(), expected);
}

TEST_F(ByUserTest, ATenantThatInventsModelsTakesNobodysPlace) {
  for (std::size_t i = 0; i < 5 * kModelsMax; ++i) add({"invented " + std::to_string(i), "a", "ann"});
  add({"m", "b", "bob"});
  const auto all = tallies.all();
  EXPECT_EQ(all.size(), kModelsMax + 2);
  EXPECT_EQ(all.at({"other", "a", "ann"}), 4 * static_cast<int>(kModelsMax));
  EXPECT_EQ(all.at({"m", "b", "bob"}), 1);
  EXPECT_EQ(sum(), added);
}

TEST_F(ByUserTest, ThereAreNoMoreThanSoManyInAll) {
  for (std::size_t i = 0; i < 2 * kUsersMax; ++i) add({"m", "t" + std::to_string(i), "k"});
  const auto all = tallies.all();
  EXPECT_EQ(all.size(), kUsersMax);
  EXPECT_EQ(all.at({"other", "other", "other"}), static_cast<int>(kUsersMax) + 1);
  EXPECT_EQ(sum(), added);
  add({"m", "t1", "k"});
  EXPECT_EQ(tallies.all().at({"m", "t1", "k"}), 2) << "who is known stays so";
}

TEST_F(ByUserTest, ALongNameIsNotKept) {
  add({std::string(kNameBytesMax + 1, 'm'), "a", "ann"});
  add({std::string(kNameBytesMax, 'm'), "a", "ann"});
  EXPECT_EQ(tallies.all().at({"other", "a", "ann"}), 1);
  EXPECT_EQ(tallies.all().size(), 2U);
}

}  // namespace
}  // namespace pmt::base
