#include "response_cache/self_test.h"

#include <gtest/gtest.h>

namespace pmt::response_cache {
namespace {

TEST(SelfTest, Passes) {
  EXPECT_EQ(self_test().value_or(""), "");
}

}  // namespace
}  // namespace pmt::response_cache
