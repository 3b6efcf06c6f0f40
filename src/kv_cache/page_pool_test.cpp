#include "kv_cache/page_pool.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
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

/// Takes and gives at random, beside a naive model of who holds what.
class PagePoolTrace : public testing::Test {
 protected:
  struct Held {
    PageSize size;
    std::uint32_t references;
    std::byte mark;  // all of its bytes
  };

  void check_page(PageId id, const Held& page) const {
    for (std::size_t i = 0; i < pool_->bytes_of(page.size); ++i) ASSERT_EQ(pool_->data(id)[i], page.mark);
  }
  void take() {
    const PageSize size = std::array{PageSize::kLarge, PageSize::kHalf, PageSize::kSmall}[rng_() % 3];
    const bool sure = size == PageSize::kSmall ? bytes_ < pool_->stats().bytes_max : pool_->pages_free() > 0;
    const auto page = pool_->allocate(size);
    if (sure) {
      ASSERT_TRUE(page) << "there was room";
    }
    if (!page) return;
    check_page(*page, {size, 1, std::byte{0}});
    const auto mark = static_cast<std::byte>(rng_() % 255 + 1);
    std::memset(pool_->data(*page), std::to_integer<int>(mark), pool_->bytes_of(size));
    ASSERT_TRUE(held_.emplace(*page, Held{size, 1, mark}).second) << "a used page was handed out";
    bytes_ += pool_->bytes_of(size);
  }
  /// One holder more or less of a page that is held.
  void share_or_give() {
    const auto units = static_cast<std::uint32_t>(pool_->pages_max() * PagePool::kLargeUnits);
    auto it = held_.lower_bound(PageId(static_cast<std::uint32_t>(rng_() % units)));
    if (it == held_.end()) it = held_.begin();
    if (rng_() % 4 == 0) {
      pool_->add_reference(it->first);
      ++it->second.references;
      return;
    }
    if (it->second.references == 1) {
      check_page(it->first, it->second);
      bytes_ -= pool_->bytes_of(it->second.size);
    }
    pool_->release(it->first);
    if (--it->second.references == 0) held_.erase(it);
  }
  void give_all() {
    for (const auto& [page, of] : held_) {
      check_page(page, of);
      ASSERT_EQ(pool_->references(page), of.references);
      for (std::uint32_t i = 0; i < of.references; ++i) pool_->release(page);
    }
  }

  std::unique_ptr<PagePool> pool_ = pool_of(2);
  std::map<PageId, Held> held_;
  std::size_t bytes_ = 0;
  std::mt19937 rng_{11};
};

TEST_F(PagePoolTrace, OfAllSizesAgainstANaiveModel) {
  for (int step = 0; step < 80000; ++step) {
    // Long runs of mostly taking or mostly giving, so that the pool fills and empties.
    const bool taking = rng_() % 10 < (step / 8000 % 2 == 0 ? 7U : 3U);
    taking || held_.empty() ? take() : share_or_give();
    if (HasFatalFailure()) return;
    ASSERT_EQ(pool_->stats().bytes_used, bytes_);
    ASSERT_LE(pool_->stats().bytes_used, pool_->stats().bytes_resident);
  }
  give_all();
  EXPECT_EQ(pool_->stats().pages_used, 0U);
  EXPECT_EQ(pool_->stats().bytes_used, 0U);
  EXPECT_EQ(pool_->pages_free(), pool_->pages_max());
}

}  // namespace
}  // namespace pmt::kv_cache
