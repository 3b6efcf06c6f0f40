#include "app/wiring/spending_file.h"

#include <filesystem>
#include <fstream>
#include <optional>

#include <gtest/gtest.h>

#include "base/file.h"

namespace pmt::app {
namespace {

class SpendingFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "pmt-spending-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder); }
  std::string path() const { return (folder / "spending.json").string(); }

  std::filesystem::path folder;
  base::FakeClock clock;
};

TEST_F(SpendingFileTest, TheNextServerGoesOn) {
  {
    api::DaySpending spending(clock);
    const SpendingFile file(spending, path());
    spending.add("ann", 1.25);
  }
  api::DaySpending next(clock);
  std::optional<SpendingFile> file(std::in_place, next, path());
  EXPECT_DOUBLE_EQ(next.today("ann"), 1.25);
  next.add("ann", 1);
  file.reset();
  api::DaySpending third(clock);
  const SpendingFile again(third, path());
  EXPECT_DOUBLE_EQ(third.today("ann"), 2.25);
}

TEST_F(SpendingFileTest, NothingSpentIsNoFile) {
  api::DaySpending spending(clock);
  { const SpendingFile file(spending, path()); }
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(SpendingFileTest, ADamagedFileIsSetAside) {
  std::ofstream(path()) << "{\"day\": \"2023-11";
  api::DaySpending spending(clock);
  {
    const SpendingFile file(spending, path());
    EXPECT_DOUBLE_EQ(spending.today("ann"), 0);
    spending.add("ann", 2);
  }
  EXPECT_EQ(base::read_file(path() + ".damaged-1").value_or(""), "{\"day\": \"2023-11");
  EXPECT_TRUE(std::filesystem::exists(path()));
}

}  // namespace
}  // namespace pmt::app
