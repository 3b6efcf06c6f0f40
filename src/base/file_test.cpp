#include "base/file.h"

#include <filesystem>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

namespace pmt::base {
namespace {

class FileTest : public testing::Test {
 protected:
  FileTest() { std::filesystem::create_directory(folder_); }
  ~FileTest() override { std::filesystem::remove_all(folder_); }
  std::string path(const char* name) const { return (folder_ / name).string(); }

  const std::filesystem::path folder_ = std::filesystem::path(testing::TempDir()) /
                                        testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(FileTest, AFileIsReplacedWholeAndNothingStaysBesideIt) {
  const std::string first("one\0two", 7);
  ASSERT_TRUE(replace_file(path("f"), first));
  EXPECT_EQ(*read_file(path("f")), first);
  ASSERT_TRUE(replace_file(path("f"), ""));
  EXPECT_EQ(*read_file(path("f")), "");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(FileTest, WhatCantBeReplacedStaysAndNothingIsLeft) {
  std::filesystem::create_directories(path("f/inside"));  // a folder in the file's place
  const Status refused = replace_file(path("f"), "new");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kIo);
  EXPECT_NE(refused.error().message.find(path("f")), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(path("f/inside")));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(FileTest, AnAbsentFileAndFolderAreNamed) {
  const auto absent = read_file(path("absent"));
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Code::kIo);
  EXPECT_NE(absent.error().message.find("absent"), std::string::npos);
  EXPECT_FALSE(replace_file(path("no/folder"), "x"));
}

}  // namespace
}  // namespace pmt::base
