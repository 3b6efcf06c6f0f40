#include "base/trimmed.h"

#include <gtest/gtest.h>

namespace pmt::base {
namespace {

TEST(Trimmed, CutsSpacesAndLineEndsAround) {
  EXPECT_EQ(trimmed(" \r\n\ta b\n "), "a b");
  EXPECT_EQ(trimmed("a"), "a");
  EXPECT_EQ(trimmed(" \n"), "");
  EXPECT_EQ(trimmed(""), "");
}

}  // namespace
}  // namespace pmt::base
