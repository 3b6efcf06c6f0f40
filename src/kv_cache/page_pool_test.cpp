#include "kv_cache/page_pool.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace pmt::kv_cache {
namespace {

constexpr std::size_t kPage = 8192;
constexpr std::size_t kGranule = 2U << 20;

std::unique_ptr<PagePool> pool_of(std::size_t granules) {
  auto pool = PagePool::create(kPage, granules * kGranule);
  EXPECT_TRUE(pool);
  return std::move(*pool);
}

TEST(PagePool, HandsOutEveryPageOnceThenSaysFull) {
  auto pool = pool_of(1);
  std::vector<PageId> pages;
  for (std::size_t i = 0; i < pool->pages_max(); ++i) pages.push_back(*pool->allocate(PageSize::kLarge));
  std::sort(pages.begin(), pages.end());
  EXPECT_EQ(std::adjacent_find(pages.begin(), pages.end()), pages.end());
  const auto full = pool->allocate(PageSize::kLarge);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, base::Code::kUnavailable);
  pool->release(pages[5]);
  EXPECT_EQ(*pool->allocate(PageSize::kLarge), pages[5]);
}

TEST(PagePool, AReusedPageIsZero) {
  auto pool = pool_of(1);
  const PageId page = *pool->allocate(PageSize::kLarge);
  std::memset(pool->data(page), 0xFF, kPage);
  pool->release(page);
  const PageId again = *pool->allocate(PageSize::kLarge);
  ASSERT_EQ(again, page);
  for (std::size_t i = 0; i < kPage; ++i) ASSERT_EQ(pool->data(again)[i], std::byte{0});
}

TEST(PagePool, EmptyGranulesGoBackToTheSystem) {
  auto pool = pool_of(32);
  std::vector<PageId> pages;
  for (std::size_t i = 0; i < pool->pages_max(); ++i) pages.push_back(*pool->allocate(PageSize::kLarge));
  EXPECT_EQ(pool->stats().bytes_resident, 32 * kGranule);
  for (const PageId page : pages) pool->release(page);
  EXPECT_EQ(pool->stats().bytes_used, 0U);
  EXPECT_LE(pool->stats().bytes_resident, 4 * kGranule);
}

TEST(PagePool, RandomTraceAgainstANaiveModel) {
  auto pool = pool_of(6);
  std::map<PageId, std::uint32_t> held;
  std::mt19937 rng(11);
  for (int step = 0; step < 60000; ++step) {
    const auto what = rng() % 10;
    if (what < 5 || held.empty()) {
      const auto page = pool->allocate(PageSize::kLarge);
      ASSERT_EQ(page.has_value(), held.size() < pool->pages_max());
      if (page) {
        ASSERT_TRUE(held.emplace(*page, 1).second) << "a used page was handed out";
      }
      continue;
    }
    auto it = held.lower_bound(PageId(static_cast<std::uint32_t>(rng() % pool->pages_max())));
    if (it == held.end()) it = held.begin();
    if (what < 7) {
      pool->add_reference(it->first);
      ++it->second;
    } else {
      pool->release(it->first);
      if (--it->second == 0) held.erase(it);
    }
    ASSERT_EQ(pool->stats().pages_used, held.size());
  }
  for (const auto& [page, count] : held) {
    ASSERT_EQ(pool->references(page), count);
    for (std::uint32_t i = 0; i < count; ++i) pool->release(page);
  }
  EXPECT_EQ(pool->stats().pages_used, 0U);
}

}  // namespace
}  // namespace pmt::kv_cache
