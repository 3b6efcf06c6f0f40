#include "app/wiring/state_file.h"

#include <filesystem>
#include <fstream>
#include <optional>

#include <gtest/gtest.h>

#include "api/day_spending.h"
#include "base/file.h"

namespace pmt::app {
namespace {

class StateFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "pmt-state-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder); }
  std::string path() const { return (folder / "spending.json").string(); }
  KeptState kept(api::DaySpending& spending) const { return kept(spending, path()); }
  static KeptState kept(api::DaySpending& spending, std::string path) {
    return {.name = "what keys have spent",
            .path = std::move(path),
            .bytes_max = 1U << 20,
            .state = [&spending] { return spending.state(); },
            .version = [&spending] { return spending.version(); },
            .restore = [&spending](std::string_view text) { return spending.restore(text); }};
  }

  std::filesystem::path folder;
  base::FakeClock clock;
};

TEST_F(StateFileTest, TheNextServerGoesOn) {
  {
    api::DaySpending spending(clock);
    const StateFile file(kept(spending));
    spending.add("ann", 1.25);
  }
  api::DaySpending next(clock);
  std::optional<StateFile> file(std::in_place, kept(next));
  EXPECT_DOUBLE_EQ(next.today("ann"), 1.25);
  next.add("ann", 1);
  file.reset();
  api::DaySpending third(clock);
  const StateFile again(kept(third));
  EXPECT_DOUBLE_EQ(third.today("ann"), 2.25);
}

TEST_F(StateFileTest, NothingSpentIsNoFile) {
  api::DaySpending spending(clock);
  { const StateFile file(kept(spending)); }
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(StateFileTest, ADamagedFileIsSetAside) {
  std::ofstream(path()) << "{\"day\": \"2023-11";
  api::DaySpending spending(clock);
  {
    const StateFile file(kept(spending));
    EXPECT_DOUBLE_EQ(spending.today("ann"), 0);
    spending.add("ann", 2);
  }
  EXPECT_EQ(base::read_file(path() + ".damaged-1").value_or(""), "{\"day\": \"2023-11");
  EXPECT_TRUE(std::filesystem::exists(path()));
}

}  // namespace
}  // namespace pmt::app
