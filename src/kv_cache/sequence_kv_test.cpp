#include "kv_cache/sequence_kv.h"

#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/page_layout.h"
#include "kv_cache/page_budget.h"

namespace pmt::kv_cache {
namespace {

constexpr KvShape kShape{2, 3, 64};

class SequenceKvTest : public testing::Test {
 protected:
  std::unique_ptr<PagePool> pool_ = std::move(*PagePool::create(kernels::f16_page_bytes(64), 4U << 20));
};

TEST_F(SequenceKvTest, TakesOnePagePerHeadAndThirtyTwoTokens) {
  SequenceKv sequence(*pool_, kShape);
  ASSERT_TRUE(sequence.reserve(33));
  sequence.commit(33);
  EXPECT_EQ(sequence.held().page_count, 2U * 2 * 3);
  EXPECT_EQ(sequence.held().pages, 12 * 8192);
  EXPECT_EQ(sequence.pages_needed(31), 0U);
  EXPECT_EQ(sequence.pages_needed(32), 6U);
  sequence.truncate(32);
  EXPECT_EQ(sequence.held().page_count, 6U);
  sequence.clear();
  EXPECT_EQ(pool_->stats().pages_used, 0U);
}

TEST_F(SequenceKvTest, AFullPoolLeavesTheSequenceAsItWas) {
  SequenceKv sequence(*pool_, kShape);
  const int fits = static_cast<int>(pool_->pages_max() / 6) * kernels::kPageTokens;
  ASSERT_TRUE(sequence.reserve(fits - 40));
  sequence.commit(fits - 40);
  const std::size_t before = pool_->stats().pages_used;
  const auto status = sequence.reserve(1000);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, base::Code::kUnavailable);
  EXPECT_EQ(pool_->stats().pages_used, before);
  EXPECT_EQ(sequence.tokens(), fits - 40);
}

TEST_F(SequenceKvTest, AForkSharesPagesUntilOneWrites) {
  SequenceKv first(*pool_, kShape);
  ASSERT_TRUE(first.reserve(40));
  std::memset(pool_->data(first.table(LayerId(1), KvHeadId(2)).pages.data()[1]), 7, 16);
  first.commit(40);
  SequenceKv second = first.fork();
  EXPECT_EQ(pool_->stats().pages_used, 12U);

  ASSERT_EQ(second.pages_needed(1), 6U);
  ASSERT_TRUE(second.reserve(1));
  second.commit(1);
  EXPECT_EQ(pool_->stats().pages_used, 18U);
  EXPECT_EQ(second.table(LayerId(0), KvHeadId(0)).pages.data()[0],
            first.table(LayerId(0), KvHeadId(0)).pages.data()[0]);
  const PageId mine = first.table(LayerId(1), KvHeadId(2)).pages.data()[1];
  const PageId copy = second.table(LayerId(1), KvHeadId(2)).pages.data()[1];
  EXPECT_NE(mine, copy);
  EXPECT_EQ(0, std::memcmp(pool_->data(mine), pool_->data(copy), pool_->bytes_of(PageSize::kLarge)));

  EXPECT_EQ(first.pages_needed(1), 0U) << "the last page is the first's own again";
  first.clear();
  EXPECT_EQ(pool_->stats().pages_used, 12U);
  second.clear();
  EXPECT_EQ(pool_->stats().pages_used, 0U);
}

TEST_F(SequenceKvTest, AForkAfterAReservationStillCopiesBeforeWriting) {
  SequenceKv first(*pool_, kShape);
  ASSERT_TRUE(first.reserve(70));
  first.commit(40);
  SequenceKv second = first.fork();
  ASSERT_TRUE(first.reserve(5));
  EXPECT_NE(second.table(LayerId(0), KvHeadId(0)).pages.data()[1],
            first.table(LayerId(0), KvHeadId(0)).pages.data()[1]);
}

/// Layer 1 of 2 is local.
class LocalLayerTest : public SequenceKvTest {
 protected:
  static KvShape shape() {
    KvShape out = kShape;
    out.window = 100;
    out.local[1] = true;
    return out;
  }
  SequenceKv read(int tokens) {
    SequenceKv sequence(*pool_, shape());
    EXPECT_TRUE(sequence.reserve(tokens));
    sequence.commit(tokens);
    return sequence;
  }
};

TEST_F(LocalLayerTest, PagesOutOfSightAreFreedAndTheRestCounted) {
  SequenceKv sequence = read(320);
  EXPECT_EQ(sequence.tokens_min(), 0);
  sequence.drop_unseen();
  // Token 320 sees 221 on; with 32 of slack 189 on: pages 0 to 4 (0..159) go.
  EXPECT_EQ(sequence.held().page_count, 3U * (10 + 5));
  EXPECT_EQ(pool_->stats().pages_used, sequence.held().page_count);
  EXPECT_EQ(sequence.held().pages, static_cast<std::int64_t>(pool_->stats().bytes_used));
  EXPECT_EQ(sequence.bytes(LayerId(1), KvHeadId(2)), 5 * 8192);
  EXPECT_EQ(sequence.slots(), 3 * (320 + 160));
  EXPECT_EQ(sequence.table(LayerId(1), KvHeadId(0)).pages.data()[4], kNoPage);
  EXPECT_EQ(sequence.tokens_min(), 160 + 99) << "token 259 sees 160 on";
  EXPECT_LE(sequence.held().page_count, exact_pages_at_most(shape(), 320, 1));
  sequence.truncate(288);
  SequenceKv fork = sequence.fork();
  sequence.clear();
  EXPECT_EQ(pool_->stats().pages_used, fork.held().page_count);
  fork.truncate(0);
  EXPECT_EQ(pool_->stats().pages_used, 0U);
}

TEST_F(LocalLayerTest, ACompactOneKeepsTheEndOfTheWindow) {
  SequenceKv sequence = read(320);
  sequence.drop_unseen();
  CompactTables made{.tokens = 320, .tail = kernels::PageCodec::kBytes};
  const CompactTables::Table some{.kept = 3}, last{.kept = 80, .compact_pages = 2};
  made.tables = {some, some, some, last, last, last};
  made.pages.resize(3 * pool_->bytes_of(PageSize::kHalf) +
                    3 * (2 * pool_->bytes_of(PageSize::kSmall) + pool_->bytes_of(PageSize::kHalf)));
  ASSERT_TRUE(sequence.adopt(made));
  EXPECT_EQ(sequence.held().page_count, 3U * (1 + 3));
  EXPECT_EQ(sequence.slot(LayerId(1), KvHeadId(0), 320), 80);
  ASSERT_TRUE(sequence.reserve(200));
  sequence.commit(200);
  sequence.drop_unseen();
  EXPECT_EQ(sequence.table(LayerId(1), KvHeadId(0)).pages.data()[3], kNoPage) << "280 slots, 149 on are seen";
  EXPECT_NE(sequence.table(LayerId(1), KvHeadId(0)).pages.data()[4], kNoPage);
  EXPECT_GE(sequence.tokens_min(), 320);
  sequence.clear();
  EXPECT_EQ(pool_->stats().pages_used, 0U);
}

TEST_F(SequenceKvTest, AdoptsPagesInTheirOrder) {
  SequenceKv sequence(*pool_, kShape);
  ASSERT_TRUE(sequence.reserve(70));
  sequence.commit(70);
  CompactTables made{.tokens = 70, .tail = kernels::PageCodec::kBytes};
  made.tables.assign(kShape.tables(), {.kept = 40, .compact_pages = 1});
  const std::size_t small = pool_->bytes_of(PageSize::kSmall), half = pool_->bytes_of(PageSize::kHalf);
  made.pages.resize(kShape.tables() * (small + half));
  for (std::size_t i = 0; i < made.pages.size(); ++i) made.pages[i] = static_cast<std::byte>(i / small % 251);
  ASSERT_TRUE(sequence.adopt(made));
  EXPECT_TRUE(sequence.compact());
  EXPECT_EQ(sequence.compressed_tokens(), 70);
  EXPECT_EQ(sequence.longest(70), 41);
  EXPECT_EQ(sequence.held().pages, static_cast<std::int64_t>(made.pages.size()));
  EXPECT_EQ(pool_->stats().bytes_used, made.pages.size()) << "the pages of before are free";
  const std::byte* from = made.pages.data();
  for (std::size_t t = 0; t < kShape.tables(); ++t) {
    const SequenceKv::Table table = sequence.table(kShape.layer_of(t), kShape.head_of(t));
    ASSERT_EQ(table.pages.size(), 2U);
    EXPECT_EQ(table.compact_pages, 1);
    EXPECT_EQ(0, std::memcmp(pool_->data(table.pages[0]), from, small));
    EXPECT_EQ(0, std::memcmp(pool_->data(table.pages[1]), from + small, half));
    from += small + half;
  }
}

TEST_F(SequenceKvTest, PagesThatWentOutComeBackInAnother) {
  SequenceKv first(*pool_, kShape);
  ASSERT_TRUE(first.reserve(70));
  first.commit(70);
  for (std::uint32_t layer = 0; layer < 2; ++layer) {
    for (std::uint32_t head = 0; head < 3; ++head) {
      const auto pages = first.table(LayerId(layer), KvHeadId(head)).pages;
      for (std::size_t i = 0; i < pages.size(); ++i)
        std::memset(pool_->data(pages[i]), static_cast<int>(layer * 30 + head * 10 + i), 8192);
    }
  }
  const auto out = first.exact_pages(32, 32);
  ASSERT_EQ(out.size(), 6U);
  std::vector<std::byte> bytes;
  for (const auto& page : out) bytes.insert(bytes.end(), page.begin(), page.end());

  SequenceKv second = first.fork();
  second.truncate(32);
  ASSERT_TRUE(second.append(bytes, 32));
  EXPECT_EQ(second.tokens(), 64);
  for (std::uint32_t layer = 0; layer < 2; ++layer) {
    for (std::uint32_t head = 0; head < 3; ++head) {
      const auto pages = second.table(LayerId(layer), KvHeadId(head)).pages;
      EXPECT_EQ(pages[0], first.table(LayerId(layer), KvHeadId(head)).pages[0]) << "shared";
      EXPECT_EQ(static_cast<int>(*pool_->data(pages[1])), static_cast<int>(layer * 30 + head * 10 + 1));
    }
  }
  bytes.pop_back();
  const auto wrong = second.append(bytes, 32);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, base::Code::kCorrupt);
  EXPECT_EQ(second.tokens(), 64);
}

TEST_F(SequenceKvTest, PagesThatNoQuerySeesCanNotGoOut) {
  KvShape shape = kShape;
  shape.window = 64;
  shape.local.set(1);
  SequenceKv sequence(*pool_, shape);
  ASSERT_TRUE(sequence.reserve(256));
  sequence.commit(256);
  EXPECT_EQ(sequence.exact_pages(0, 64).size(), 12U);
  sequence.drop_unseen();
  EXPECT_TRUE(sequence.exact_pages(0, 64).empty());
  EXPECT_EQ(sequence.exact_pages(192, 64).size(), 12U);
}

}  // namespace
}  // namespace pmt::kv_cache
