#include "kv_cache/eviction.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/page_layout.h"
#include "kv_cache/self_test.h"

namespace pmt::kv_cache {
namespace {

constexpr KvShape kShape{4, 2, 64};
constexpr std::size_t kTables = 8;

ScoreBuffer random_scores(int tokens, std::uint32_t seed) {
  ScoreBuffer out;
  out.stride = ScoreBuffer::stride_for(tokens);
  std::mt19937 rng(seed);
  std::uniform_real_distribution<float> uniform;
  out.values.resize(kTables * out.stride);
  for (float& x : out.values) x = uniform(rng);
  return out;
}

std::size_t pages(const std::vector<std::vector<std::int32_t>>& kept) {
  std::size_t total = 0;
  for (const auto& table : kept) total += (table.size() + 31) / 32;
  return total;
}

TEST(Eviction, LocalLayersKeepTheEndOfTheirWindow) {
  KvShape shape = kShape;
  shape.window = 500;
  shape.local[0] = shape.local[2] = true;
  const int tokens = 3000;
  for (const double ratio : {2.0, 8.0, 64.0}) {
    const auto kept = choose_kept(random_scores(tokens, 1), shape, tokens, {.ratio = ratio});
    const std::size_t page = ratio < 4 ? kernels::f16_page_bytes(64) : kernels::compact_page_bytes(64);
    EXPECT_NEAR(static_cast<double>(pages(kept) * page), static_cast<double>(shape.bytes_f16(tokens)) / ratio,
                8.0 * static_cast<double>(page))
        << ratio;
    for (const std::size_t table : {0, 1, 4, 5}) {
      EXPECT_EQ(kept[table].size(), kept[0].size());
      EXPECT_EQ(kept[table].back(), tokens - 1);
      EXPECT_EQ(kept[table].front(), tokens - static_cast<int>(kept[table].size()));
      EXPECT_LE(kept[table].size(), 500U);
    }
    EXPECT_EQ(kept[0].size(), ratio < 4 ? 500U : kept[0].size());
  }
}

TEST(Eviction, KeepsWithinTheBudgetAndFillsItsPages) {
  for (const double ratio : {2.0, 3.0, 4.0, 8.0, 16.0, 64.0}) {
    const int tokens = 3000;
    const auto kept = choose_kept(random_scores(tokens, 1), kShape, tokens, {.ratio = ratio});
    const std::size_t page = ratio < 4 ? kernels::f16_page_bytes(64) : kernels::compact_page_bytes(64);
    const double f16 = static_cast<double>(tokens * kShape.token_bytes_f16());
    const double held = static_cast<double>(pages(kept) * page);
    EXPECT_LE(held, f16 / ratio + 8.0 * static_cast<double>(page)) << ratio;
    EXPECT_GE(held, f16 / ratio - 8.0 * static_cast<double>(page)) << ratio;
    for (const auto& table : kept) {
      EXPECT_TRUE(std::is_sorted(table.begin(), table.end()));
      EXPECT_EQ(std::adjacent_find(table.begin(), table.end()), table.end());
      EXPECT_TRUE(table.size() % 32 == 0 || table.size() == 3000U);
    }
  }
}

TEST(Eviction, SinksAndThePromptsEndAreAlwaysKept) {
  ScoreBuffer scores = random_scores(2000, 2);
  for (std::size_t table = 0; table < kTables; ++table) {
    for (std::size_t t : {0U, 1U, 2U, 3U, 1992U, 1999U}) scores.values[table * scores.stride + t] = 0;
  }
  for (const auto& table : choose_kept(scores, kShape, 2000, {.ratio = 64})) {
    for (const std::int32_t t : {0, 1, 2, 3, 1992, 1999})
      EXPECT_TRUE(std::binary_search(table.begin(), table.end(), t));
  }
}

TEST(Eviction, PagesGoToTheTablesThatNeedThem) {
  ScoreBuffer scores = random_scores(2000, 3);
  for (std::size_t t = 0; t < 2000; ++t) scores.values[5 * scores.stride + t] += 1;
  const auto kept = choose_kept(scores, kShape, 2000, {.ratio = 16});
  for (std::size_t table = 0; table < kTables; ++table) {
    if (table != 5) {
      EXPECT_LT(kept[table].size(), kept[5].size() / 4);
    }
  }
  // Within a table the greatest scores stay.
  float least_kept = 9, greatest_gone = 0;
  for (int t = 4; t < 1992; ++t) {
    const float score = scores.values[static_cast<std::size_t>(t)];
    const bool in = std::binary_search(kept[0].begin(), kept[0].end(), t);
    (in ? least_kept : greatest_gone) = in ? std::min(least_kept, score) : std::max(greatest_gone, score);
  }
  EXPECT_GE(least_kept, greatest_gone);
}

TEST(Eviction, AShortSequenceKeepsAPageEverywhere) {
  const auto kept = choose_kept(random_scores(20, 4), kShape, 20, {.ratio = 64});
  for (const auto& table : kept) EXPECT_EQ(table.size(), 20U);
}

TEST(SelfTest, Passes) {
  EXPECT_EQ(self_test(), std::nullopt);
  EXPECT_EQ(prefix_self_test(), std::nullopt);
}

}  // namespace
}  // namespace pmt::kv_cache
