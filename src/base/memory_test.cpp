#include "base/memory.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace pmt::base {
namespace {

namespace fs = std::filesystem;

class MemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "pmt_memory_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    write("meminfo", "MemTotal: 16000000 kB\nMemFree:  100 kB\nMemAvailable:    8000000 kB\n");
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& file, const std::string& text) {
    fs::create_directories((folder_ / file).parent_path());
    std::ofstream(folder_ / file) << text;
  }
  MemoryFiles files() const { return {folder_ / "meminfo", folder_ / "self", folder_ / "groups"}; }

  fs::path folder_;
};

TEST_F(MemoryTest, IsTheMachinesWhereNoGroupLimits) {
  EXPECT_EQ(memory_available(files()), 8000000LL * 1024);
  write("self", "0::/user/app\n");
  write("groups/user/app/memory.max", "max\n");
  write("groups/user/app/memory.current", "5000\n");
  EXPECT_EQ(memory_available(files()), 8000000LL * 1024);
}

TEST_F(MemoryTest, IsTheTightestGroupsOnTheWayUp) {
  write("self", "12:cpu:/x\n0::/user/app\n");
  write("groups/user/app/memory.max", "4000000000\n");
  write("groups/user/app/memory.current", "1000000000\n");
  EXPECT_EQ(memory_available(files()), 3000000000);
  write("groups/user/memory.max", "2000000000\n");
  write("groups/user/memory.current", "1500000000\n");
  write("groups/user/memory.stat", "anon 7\ninactive_file 100000000\n");
  EXPECT_EQ(memory_available(files()), 600000000);
  write("groups/user/memory.current", "2500000000\n");
  EXPECT_EQ(memory_available(files()), 0) << "over its limit";
}

TEST_F(MemoryTest, TheRootGroupCounts) {
  write("self", "0::/\n");
  write("groups/memory.max", "1000000\n");
  write("groups/memory.current", "400000\n");
  EXPECT_EQ(memory_available(files()), 600000);
}

TEST_F(MemoryTest, IsNegativeWhereNothingSaysIt) {
  fs::remove(folder_ / "meminfo");
  EXPECT_LT(memory_available(files()), 0);
}

TEST(Memory, OfThisMachineIsKnown) {
  EXPECT_GT(memory_available(), 1 << 20);
}

}  // namespace
}  // namespace pmt::base
