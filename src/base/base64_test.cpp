#include "base/base64.h"

#include <gtest/gtest.h>

namespace pmt::base {
namespace {

TEST(Base64, IsReadPaddedOrNot) {
  EXPECT_EQ(from_base64(""), "");
  EXPECT_EQ(from_base64("Zg=="), "f");
  EXPECT_EQ(from_base64("Zm8="), "fo");
  EXPECT_EQ(from_base64("Zm8"), "fo");
  EXPECT_EQ(from_base64("Zm9v\r\nYmFy"), "foobar");
  EXPECT_EQ(from_base64("//79"), "\xFF\xFE\xFD");
}

TEST(Base64, IsRefusedWhereItIsNone) {
  for (const char* const text : {"Z", "Zm9v!", "Zg===", "Zg=", "Zg==Zg==", "Zh==", "Zm9v "})
    EXPECT_FALSE(from_base64(text)) << text;
}

}  // namespace
}  // namespace pmt::base
