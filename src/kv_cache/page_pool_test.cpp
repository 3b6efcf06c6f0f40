#include "kv_cache/page_pool.h"

#include <algorithm>
#include <array>
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

TEST(PagePool, RandomTraceOfAllSizesAgainstANaiveModel) {
  auto pool = pool_of(2);
  struct Held {
    PageSize size;
    std::uint32_t references;
    std::byte mark;
  };
  std::map<PageId, Held> held;
  std::mt19937 rng(11);
  const auto units = static_cast<std::uint32_t>(pool->pages_max() * PagePool::kLargeUnits);
  std::size_t bytes = 0;
  const auto check_page = [&](PageId id, const Held& page) {
    for (std::size_t i = 0; i < pool->bytes_of(page.size); ++i) ASSERT_EQ(pool->data(id)[i], page.mark);
  };
  for (int step = 0; step < 80000; ++step) {
    // Long runs of mostly taking or mostly giving, so that the pool fills and empties.
    const bool taking = rng() % 10 < (step / 8000 % 2 == 0 ? 7U : 3U);
    if (taking || held.empty()) {
      const PageSize size = std::array{PageSize::kLarge, PageSize::kHalf, PageSize::kSmall}[rng() % 3];
      const bool sure = size == PageSize::kSmall ? bytes < pool->stats().bytes_max : pool->pages_free() > 0;
      const auto page = pool->allocate(size);
      if (sure) {
        ASSERT_TRUE(page) << "there was room";
      }
      if (!page) continue;
      for (std::size_t i = 0; i < pool->bytes_of(size); ++i) ASSERT_EQ(pool->data(*page)[i], std::byte{0});
      const auto mark = static_cast<std::byte>(rng() % 255 + 1);
      std::memset(pool->data(*page), std::to_integer<int>(mark), pool->bytes_of(size));
      ASSERT_TRUE(held.emplace(*page, Held{size, 1, mark}).second) << "a used page was handed out";
      bytes += pool->bytes_of(size);
      continue;
    }
    auto it = held.lower_bound(PageId(static_cast<std::uint32_t>(rng() % units)));
    if (it == held.end()) it = held.begin();
    if (rng() % 4 == 0) {
      pool->add_reference(it->first);
      ++it->second.references;
    } else {
      if (it->second.references == 1) {
        check_page(it->first, it->second);
        bytes -= pool->bytes_of(it->second.size);
      }
      pool->release(it->first);
      if (--it->second.references == 0) held.erase(it);
    }
    ASSERT_EQ(pool->stats().bytes_used, bytes);
    ASSERT_LE(pool->stats().bytes_used, pool->stats().bytes_resident);
  }
  for (const auto& [page, of] : held) {
    check_page(page, of);
    ASSERT_EQ(pool->references(page), of.references);
    for (std::uint32_t i = 0; i < of.references; ++i) pool->release(page);
  }
  EXPECT_EQ(pool->stats().pages_used, 0U);
  EXPECT_EQ(pool->stats().bytes_used, 0U);
  EXPECT_EQ(pool->pages_free(), pool->pages_max());
}

}  // namespace
}  // namespace pmt::kv_cache
