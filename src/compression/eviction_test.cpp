#include "compression/eviction.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "compression/plan.h"
#include "compression/self_test.h"
#include "kernels/page_layout.h"
#include "kv_cache/self_test.h"

namespace pmt::compression {
namespace {

using kv_cache::KvShape;
using kv_cache::ScoreBuffer;

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

double bytes_of(const std::vector<KeptTokens>& kept, double ratio) {
  double total = 0;
  for (const auto& [coded, exact] : kept) {
    total += static_cast<double>((exact.size() + 31) / 32 * kernels::page_bytes(tail_of(ratio), 64));
    total += static_cast<double>(coded.size() / 32 * kernels::compact_page_bytes(64));
  }
  return total;
}

std::vector<std::int32_t> all_of(const KeptTokens& kept) {
  std::vector<std::int32_t> out = kept.coded;
  out.insert(out.end(), kept.exact.begin(), kept.exact.end());
  std::sort(out.begin(), out.end());
  return out;
}

TEST(Eviction, KeepsWithinTheBudgetAndFillsItsPages) {
  for (const double ratio : {2.0, 3.0, 4.0, 8.0, 16.0, 64.0}) {
    const int tokens = 3000;
    const auto kept = choose_kept(random_scores(tokens, 1), kShape, tokens, {.ratio = ratio});
    const double page = static_cast<double>(kernels::f16_page_bytes(64));
    const double f16 = static_cast<double>(tokens * kShape.token_bytes_f16());
    // What the last page of each table holds beyond 12 paid tokens comes on top.
    const double on_top = ratio < 4 ? page : page / 2 * 20 / 32;
    EXPECT_LE(bytes_of(kept, ratio), f16 / ratio + kTables * on_top) << ratio;
    EXPECT_GE(bytes_of(kept, ratio), f16 / ratio - kTables * page) << ratio;
    for (const auto& table : kept) {
      EXPECT_TRUE(std::is_sorted(table.coded.begin(), table.coded.end()));
      EXPECT_TRUE(std::is_sorted(table.exact.begin(), table.exact.end()));
      const auto all = all_of(table);
      EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end());
      EXPECT_EQ(table.coded.size() % 32, 0U);
      EXPECT_TRUE(ratio < 4 ? table.coded.empty() : table.exact.size() == 20U);
    }
  }
}

TEST(Eviction, SinksAndThePromptsEndAreAlwaysKept) {
  ScoreBuffer scores = random_scores(2000, 2);
  for (std::size_t table = 0; table < kTables; ++table) {
    for (std::size_t t : {0U, 1U, 2U, 3U, 1992U, 1999U}) scores.values[table * scores.stride + t] = 0;
  }
  for (const double ratio : {2.0, 64.0}) {
    for (const auto& table : choose_kept(scores, kShape, 2000, {.ratio = ratio})) {
      for (const std::int32_t t : {0, 1, 2, 3, 1992, 1999})
        EXPECT_TRUE(std::binary_search(table.exact.begin(), table.exact.end(), t));
    }
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
  // Within a table the greatest scores stay, the best of all exact.
  const std::vector<std::int32_t> of_first = all_of(kept[0]);
  float least_kept = 9, greatest_gone = 0;
  for (int t = 4; t < 1992; ++t) {
    const float score = scores.values[static_cast<std::size_t>(t)];
    const bool in = std::binary_search(of_first.begin(), of_first.end(), t);
    (in ? least_kept : greatest_gone) = in ? std::min(least_kept, score) : std::max(greatest_gone, score);
  }
  EXPECT_GE(least_kept, greatest_gone);
}

TEST(Eviction, AShortSequenceStaysWhole) {
  const auto kept = choose_kept(random_scores(20, 4), kShape, 20, {.ratio = 64});
  for (const auto& table : kept) EXPECT_EQ(table.exact.size(), 20U);
}

std::size_t coded_pages(const std::vector<KeptTokens>& kept) {
  std::size_t pages = 0;
  for (const auto& table : kept) pages += table.coded.size() / 32;
  return pages;
}

TEST(Eviction, NoRatioLeavesLessThanACodedPageATable) {
  const auto kept = choose_kept(random_scores(400, 5), kShape, 400, {.ratio = 64});
  EXPECT_EQ(coded_pages(kept), kTables);
}

TEST(Eviction, AQuestionsPagesComeOnTop) {
  const ScoreBuffer scores = random_scores(3000, 6);
  const auto without = choose_kept(scores, kShape, 3000, {.ratio = 64});
  const auto with = choose_kept(scores, kShape, 3000, {.ratio = 64, .question_tokens = 64});
  EXPECT_NEAR(static_cast<double>(coded_pages(with)), static_cast<double>(coded_pages(without) + 2 * kTables),
              1);
}

TEST(SelfTest, Passes) {
  EXPECT_EQ(self_test(), std::nullopt);
  EXPECT_EQ(kv_cache::prefix_self_test(), std::nullopt);
}

}  // namespace
}  // namespace pmt::compression
