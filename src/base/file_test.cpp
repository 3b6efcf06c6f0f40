#include "base/file.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <iterator>
#include <string>
#include <utility>

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
  EXPECT_EQ(absent.error().code, Code::kNotFound);
  EXPECT_NE(absent.error().message.find("absent"), std::string::npos);
  EXPECT_FALSE(replace_file(path("no/folder"), "x"));
}

/// Neither read as nothing nor waited for, by whatever name they come.
TEST_F(FileTest, OnlyAFileIsReadAndTheErrorSaysWhatItIs) {
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  ASSERT_EQ(symlink(path("pipe").c_str(), path("link").c_str()), 0);
  ASSERT_EQ(symlink(path("loop").c_str(), path("loop").c_str()), 0);
  const int server = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  // Its name may be 107 bytes long only, so it is made from where it lies.
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_);
  std::strcpy(address.sun_path, "socket");
  ASSERT_EQ(bind(server, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  std::filesystem::current_path(before);
  const std::pair<std::string, const char*> wrong[] = {
      {folder_.string(), "a folder"},   {folder_.string() + "/", "a folder"}, {path("pipe"), "a pipe"},
      {path("link"), "a pipe"},         {path("socket"), "a socket"},         {"/dev/zero", "a device"},
      {path("loop"), "symbolic links"}, {path("pipe/x"), "Not a directory"},  {"", "without a name"},
      {path("absent"), "No such file"}};
  for (const auto& [name, why] : wrong) {
    const auto read = read_file(name);
    ASSERT_FALSE(read) << name;
    EXPECT_NE(read.error().message.find(why), std::string::npos) << read.error().message;
    EXPECT_NE(read.error().message.find(name), std::string::npos);
    const Status checked = check_file(name);
    ASSERT_FALSE(checked) << name;
    EXPECT_EQ(checked.error().message, read.error().message);
    const Status named = check_file(name, "setting");
    ASSERT_FALSE(named) << name;
    EXPECT_EQ(named.error().code, Code::kInvalidArgument);
    EXPECT_EQ(named.error().field, "setting");
    EXPECT_EQ(named.error().message, "setting: " + read.error().message);
  }
  close(server);
}

TEST_F(FileTest, ALimitHoldsAlsoForAFileThatDoesNotSayItsSize) {
  ASSERT_TRUE(replace_file(path("f"), "12345"));
  EXPECT_EQ(*read_file(path("f"), 5), "12345");
  EXPECT_EQ(read_file(path("f"), 4).error().code, Code::kTooLarge);
  EXPECT_GT(read_file("/proc/self/status")->size(), 100U);
  EXPECT_EQ(read_file("/proc/self/status", 100).error().code, Code::kTooLarge);
}

TEST_F(FileTest, TextInUtf16IsToldHowToBecomeUtf8) {
  using namespace std::string_view_literals;
  for (const std::string_view bytes : {"\xFF\xFEh\0i\0"sv, "\xFE\xFF\0h\0i"sv}) {
    ASSERT_TRUE(replace_file(path("f"), bytes));
    const auto text = read_text_file(path("f"));
    ASSERT_FALSE(text);
    EXPECT_NE(text.error().message.find("UTF-16"), std::string::npos);
    EXPECT_NE(text.error().message.find("iconv"), std::string::npos);
  }
}

TEST_F(FileTest, TextIsUtf8AndItsByteOrderMarkIsNoPartOfIt) {
  const auto read = [this](std::string_view bytes) {
    EXPECT_TRUE(replace_file(path("f"), bytes));
    return read_text_file(path("f"));
  };
  EXPECT_EQ(*read("\xEF\xBB\xBF"
                  "a = 1"),
            "a = 1");
  for (const char* good :
       {"", "ascii", "\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 \xEE\x80\x80 \xF4\x8F\xBF\xBF"})
    EXPECT_EQ(*read(good), good);
  const std::pair<std::string_view, const char*> bad[] = {{"caf\xE9", "byte 4"},
                                                          {"\xFE", "byte 1"},
                                                          {"a\xC0\x80", "byte 2"},
                                                          {"\xED\xA0\x80", "byte 1"},
                                                          {"\xF4\x90\x80\x80", "byte 1"},
                                                          {"ab\xE2\x82", "byte 3"},
                                                          {"\x80", "byte 1"},
                                                          {"\xE0\x80\x80", "byte 1"}};
  for (const auto& [bytes, where] : bad) {
    const auto text = read(bytes);
    ASSERT_FALSE(text);
    EXPECT_NE(text.error().message.find(where), std::string::npos) << text.error().message;
  }
}

TEST_F(FileTest, WhatIsSetAsideTakesNobodysPlace) {
  for (const char* content : {"first", "second"}) {
    ASSERT_TRUE(replace_file(path("f"), content));
    ASSERT_TRUE(set_aside(path("f")));
  }
  EXPECT_EQ(*read_file(path("f.damaged-1")), "first");
  EXPECT_EQ(*read_file(path("f.damaged-2")), "second");
  EXPECT_FALSE(set_aside(path("f")));
}

}  // namespace
}  // namespace pmt::base
