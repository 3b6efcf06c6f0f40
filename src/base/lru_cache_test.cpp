#include "base/lru_cache.h"

#include <gtest/gtest.h>

namespace pmt::base {
namespace {

TEST(LruCache, TheLeastRecentlyUsedGoesFirst) {
  LruCache<int> cache(30);
  cache.put("a", 1, 10);
  cache.put("b", 2, 10);
  cache.put("c", 3, 10);
  EXPECT_EQ(cache.get("a"), 1);
  cache.put("d", 4, 10);
  EXPECT_EQ(cache.get("b"), std::nullopt);
  EXPECT_EQ(cache.get("a"), 1);
  EXPECT_EQ(cache.get("c"), 3);
  EXPECT_EQ(cache.get("d"), 4);
  EXPECT_EQ(cache.bytes(), 30U);
}

TEST(LruCache, WhatIsTooLargeIsNotKeptAndAKeyIsKeptOnce) {
  LruCache<int> cache(30);
  cache.put("a", 1, 31);
  EXPECT_EQ(cache.get("a"), std::nullopt);
  cache.put("b", 2, 20);
  cache.put("b", 3, 20);
  EXPECT_EQ(cache.get("b"), 2);
  EXPECT_EQ(cache.bytes(), 20U);
}

}  // namespace
}  // namespace pmt::base
