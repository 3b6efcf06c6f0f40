#include "kv_cache/prefix_index.h"

#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace pmt::kv_cache {
namespace {

constexpr KvShape kShape{1, 1, 64};
constexpr std::int64_t kLots = 1 << 30;

class PrefixIndexTest : public testing::Test {
 protected:
  SequenceKv read(int tokens) {
    SequenceKv sequence(*pool_, kShape);
    EXPECT_TRUE(sequence.reserve(tokens));
    sequence.commit(tokens);
    return sequence;
  }
  static std::vector<std::int32_t> numbers(int first, int count) {
    std::vector<std::int32_t> out(static_cast<std::size_t>(count));
    std::iota(out.begin(), out.end(), first);
    return out;
  }
  std::unique_ptr<PagePool> pool_ = std::move(*PagePool::create(kernels::f16_page_bytes(64), 4U << 20));
};

TEST_F(PrefixIndexTest, GivesTheLongestCommonPrefix) {
  PrefixIndex index(kLots);
  auto other = numbers(0, 100);
  other.resize(300, 7);
  index.insert(numbers(0, 200), read(200), 1);
  index.insert(other, read(300), 1);
  auto wanted = numbers(0, 150);
  wanted.push_back(-1);
  const auto found = index.find(wanted, 150, 1);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->tokens(), 150);
  EXPECT_EQ(index.find(numbers(0, 200), 199, 1)->tokens(), 199) << "never more than asked for";
  EXPECT_FALSE(index.find(numbers(0, PrefixIndex::kTokensMin - 1), 1000, 1)) << "too short to be worth it";
  EXPECT_FALSE(index.find(numbers(1, 200), 200, 1));
}

TEST_F(PrefixIndexTest, AGrowingConversationIsOneEntry) {
  PrefixIndex index(kLots);
  index.insert(numbers(0, 100), read(100), 1);
  index.insert(numbers(0, 180), read(180), 1);
  EXPECT_EQ(index.entries(), 1U);
  index.insert(numbers(0, 90), read(90), 1);
  EXPECT_EQ(index.entries(), 1U) << "known already";
  EXPECT_EQ(index.find(numbers(0, 180), 500, 1)->tokens(), 180);
}

TEST_F(PrefixIndexTest, SharesPagesAndGivesThemBack) {
  PrefixIndex index(kLots);
  {
    const SequenceKv sequence = read(128);
    index.insert(numbers(0, 128), sequence, 1);
    EXPECT_EQ(pool_->stats().pages_used, 4U);
    EXPECT_EQ(index.bytes(), 0) << "the sequence holds them too";
  }
  EXPECT_EQ(index.bytes(), 4 * 8192);
  EXPECT_EQ(pool_->stats().pages_used, 4U);
  EXPECT_TRUE(index.drop_one());
  EXPECT_FALSE(index.drop_one());
  EXPECT_EQ(pool_->stats().pages_used, 0U);
}

TEST_F(PrefixIndexTest, TheLeastRecentlyUsedGoesFirst) {
  PrefixIndex index(3 * 4 * 8192);
  for (int i = 0; i < 3; ++i) index.insert(numbers(1000 * i, 128), read(128), 1);
  EXPECT_TRUE(index.find(numbers(0, 128), 128, 1));
  index.insert(numbers(5000, 128), read(128), 1);
  EXPECT_EQ(index.entries(), 3U);
  EXPECT_TRUE(index.find(numbers(0, 128), 128, 1));
  EXPECT_FALSE(index.find(numbers(1000, 128), 128, 1));
}

TEST_F(PrefixIndexTest, SharedPagesCountOnce) {
  PrefixIndex index(6 * 8192);
  SequenceKv trunk = read(128);
  for (int i = 0; i < 2; ++i) {
    SequenceKv branch = trunk.fork();
    ASSERT_TRUE(branch.reserve(32));
    branch.commit(32);
    auto tokens = numbers(0, 128);
    tokens.resize(160, 1000 + i);
    index.insert(tokens, branch, 1);
  }
  EXPECT_EQ(index.entries(), 2U);
}

TEST_F(PrefixIndexTest, CompactEntriesServeOnlyWhatGoesOnFromThem) {
  PrefixIndex index(kLots);
  SequenceKv sequence = read(200);
  ASSERT_TRUE(
      sequence.compress({{0, 5, 9, 199}}, kernels::PageCodec::kCompact, kernels::best_attention_kernels()));
  index.insert(numbers(0, 200), sequence, 8);
  EXPECT_FALSE(index.find(numbers(0, 220), 219, 1)) << "an exact request never gets it";
  EXPECT_FALSE(index.find(numbers(0, 220), 219, 4)) << "another ratio neither";
  EXPECT_FALSE(index.find(numbers(0, 150), 149, 8)) << "it was compressed as a whole";
  const auto found = index.find(numbers(0, 220), 219, 8);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->tokens(), 200);
  EXPECT_TRUE(found->compact());
}

TEST_F(PrefixIndexTest, SwitchedOffItKeepsNothing) {
  PrefixIndex index(0);
  index.insert(numbers(0, 200), read(200), 1);
  EXPECT_EQ(index.entries(), 0U);
  EXPECT_EQ(pool_->stats().pages_used, 0U);
}

}  // namespace
}  // namespace pmt::kv_cache
