#include "kv_cache/sequence_kv.h"

#include <cstring>
#include <memory>
#include <utility>

#include <gtest/gtest.h>

#include "kernels/page_layout.h"

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
  EXPECT_EQ(sequence.pages(), 2U * 2 * 3);
  EXPECT_EQ(sequence.bytes(), 12 * 8192);
  EXPECT_EQ(sequence.pages_needed(31), 0U);
  EXPECT_EQ(sequence.pages_needed(32), 6U);
  sequence.truncate(32);
  EXPECT_EQ(sequence.pages(), 6U);
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
  std::memset(pool_->data(first.page_ids(LayerId(1), KvHeadId(2))[1]), 7, 16);
  first.commit(40);
  SequenceKv second = first.fork();
  EXPECT_EQ(pool_->stats().pages_used, 12U);

  ASSERT_EQ(second.pages_needed(1), 6U);
  ASSERT_TRUE(second.reserve(1));
  second.commit(1);
  EXPECT_EQ(pool_->stats().pages_used, 18U);
  EXPECT_EQ(second.page_ids(LayerId(0), KvHeadId(0))[0], first.page_ids(LayerId(0), KvHeadId(0))[0]);
  const PageId mine = first.page_ids(LayerId(1), KvHeadId(2))[1];
  const PageId copy = second.page_ids(LayerId(1), KvHeadId(2))[1];
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
  EXPECT_NE(second.page_ids(LayerId(0), KvHeadId(0))[1], first.page_ids(LayerId(0), KvHeadId(0))[1]);
}

}  // namespace
}  // namespace pmt::kv_cache
