#include "redis/slots.h"

#include <gtest/gtest.h>

namespace pmt::redis {
namespace {

// `CLUSTER KEYSLOT` of a real server said these.
TEST(Slots, AreTheServersOwn) {
  EXPECT_EQ(slot_of("123456789"), 12739U);
  EXPECT_EQ(slot_of("foo"), 12182U);
  EXPECT_EQ(slot_of(""), 0U);
}

TEST(Slots, AHashTagDecides) {
  EXPECT_EQ(slot_of("a:v:{key}"), slot_of("b:l:{key}"));
  EXPECT_EQ(slot_of("{key}more"), slot_of("key"));
  EXPECT_EQ(slot_of("foo{}{bar}"), slot_of("foo{}{bar}"));
  EXPECT_NE(slot_of("foo{}{bar}"), slot_of("bar"));  // an empty first tag counts as none
  EXPECT_EQ(slot_of("foo{{bar}}zap"), slot_of("{bar"));
}

}  // namespace
}  // namespace pmt::redis
