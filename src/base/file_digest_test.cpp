#include "base/file_digest.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace pmt::base {
namespace {

class FileDigest : public ::testing::Test {
 protected:
  void write(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }
  ~FileDigest() override { std::filesystem::remove(path_); }

  const std::filesystem::path path_ =
      std::filesystem::path(::testing::TempDir()) /
      (std::string("pmt_digest_") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(FileDigest, IsThatOfTheBytesWhereverTheBufferEnds) {
  for (const std::size_t size : {0U, 1U, 1U << 20, (1U << 20) + 1U, 3U << 20}) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 131 >> 3);
    write(bytes);
    const auto digest = digest_of_file(path_);
    ASSERT_TRUE(digest) << digest.error().message;
    EXPECT_EQ(digest->hex(), sha256(bytes).hex()) << size;
  }
}

TEST_F(FileDigest, WhatCantBeReadIsNamed) {
  const auto absent = digest_of_file(path_);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Code::kIo);
  EXPECT_NE(absent.error().message.find(path_.string()), std::string::npos);
  EXPECT_FALSE(digest_of_file(::testing::TempDir())) << "a folder";
}

TEST_F(FileDigest, AFingerprintTellsOtherWeightsOfOneSizeApart) {
  for (const std::size_t size : {0U, 1U, 16U << 10, (32U << 20) + 1U, 40U << 20}) {
    std::string bytes(size, 'w');
    write(bytes);
    const auto one = fingerprint_of_file(path_), again = fingerprint_of_file(path_);
    ASSERT_TRUE(one && again) << size;
    EXPECT_EQ(one->hex(), again->hex());
    for (const std::size_t at : {std::size_t{0}, size - 1}) {
      if (size == 0) continue;
      std::string other = bytes;
      other[at] = 'v';
      write(other);
      EXPECT_NE(fingerprint_of_file(path_)->hex(), one->hex()) << size << " " << at;
    }
    write(bytes + "w");
    EXPECT_NE(fingerprint_of_file(path_)->hex(), one->hex()) << "a byte more than " << size;
    write(std::string(size, 'v'));
    if (size > 0) EXPECT_NE(fingerprint_of_file(path_)->hex(), one->hex());
  }
  std::filesystem::remove(path_);
  const auto absent = fingerprint_of_file(path_);
  ASSERT_FALSE(absent);
  EXPECT_NE(absent.error().message.find(path_.string()), std::string::npos);
}

}  // namespace
}  // namespace pmt::base
