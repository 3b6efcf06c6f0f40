#include "kv_cache/evicted_summary.h"

#include <cmath>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kv_cache/attention_plan.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::kv_cache {
namespace {

constexpr KvShape kShape{1, 1, 64};
constexpr int kGroup = 3, kKept = 64, kEvicted = 576, kReferences = 32;
constexpr float kScale = 0.125F;

class EvictedSummaryTest : public testing::Test {
 protected:
  std::vector<float> random(double deviation, float mean = 0) {
    std::normal_distribution<float> normal(mean, static_cast<float>(deviation));
    std::vector<float> out(64);
    for (float& x : out) x = normal(rng_);
    return out;
  }

  /// kKept random tokens, then kEvicted ones of `evicted()`.
  template <class Make>
  SequenceKv sequence(Make evicted, const KvShape& shape = kShape) {
    SequenceKv out(*pool_, shape);
    EXPECT_TRUE(out.reserve(kKept + kEvicted));
    for (int t = 0; t < kKept + kEvicted; ++t) {
      auto [key, value] = t < kKept ? std::pair(random(1), random(1)) : evicted();
      kernels_.store_f16(key.data(), value.data(), 64, t % kernels::kPageTokens,
                         pool_->data(out.page_ids(LayerId(0), KvHeadId(0))[t / kernels::kPageTokens]));
    }
    out.commit(kKept + kEvicted);
    return out;
  }

  static std::vector<KeptTokens> first_tokens(int first = 0) {
    KeptTokens kept;
    for (int t = first; t < first + kKept; ++t) kept.exact.push_back(t);
    return {kept};
  }

  /// Queries that have a direction in common, as a head's have.
  ReferenceQueries references() {
    ReferenceQueries out{kKept + kEvicted, kReferences, kGroup, 64, kScale, {}};
    for (int i = 0; i < kReferences * kGroup; ++i) {
      const auto query = random(1, 0.3F);
      out.values.insert(out.values.end(), query.begin(), query.end());
    }
    return out;
  }

  std::vector<float> attend(const SequenceKv& sequence, const std::vector<float>& q) {
    AttentionPlan plan(*pool_);
    plan.build({{&sequence, 0, 1, sequence.tokens() - 1}}, {kGroup, 64, 1, kScale}, 1, 1);
    std::vector<float> out(q.size());
    auto scratch = std::make_unique<kernels::Scratch>();
    plan.run(LayerId(0), kernels_, q.data(), out.data(), *scratch);
    return out;
  }

  /// How far the compressed attention is off the exact one over fresh queries, root mean square, without and
  /// with the summary.
  std::pair<double, double> errors(const SequenceKv& exact, kernels::PageCodec ends) {
    const ReferenceQueries queries = references();
    SequenceKv plain = exact.fork();
    SequenceKv summed_up = exact.fork();
    EXPECT_TRUE(plain.compress(first_tokens(), ends, kernels_));
    EXPECT_TRUE(summed_up.compress(first_tokens(), ends, kernels_, 1, {&queries, 1}));
    EXPECT_EQ(plain.summary_bytes(), 0);
    EXPECT_EQ(summed_up.summary_bytes(), 2 * 64 * 2 + 8);
    double without = 0, with = 0;
    for (int i = 0; i < 20; ++i) {
      std::vector<float> q;
      for (int g = 0; g < kGroup; ++g) {
        const auto query = random(1, 0.3F);
        q.insert(q.end(), query.begin(), query.end());
      }
      const auto want = attend(exact, q), a = attend(plain, q), b = attend(summed_up, q);
      for (std::size_t d = 0; d < want.size(); ++d) {
        without += std::pow(want[d] - a[d], 2);
        with += std::pow(want[d] - b[d], 2);
      }
    }
    return {std::sqrt(without), std::sqrt(with)};
  }

  std::mt19937 rng_{11};
  const kernels::AttentionKernels& kernels_ = kernels::best_attention_kernels();
  std::unique_ptr<PagePool> pool_ = std::move(*PagePool::create(kernels::f16_page_bytes(64), 64U << 20));
};

TEST_F(EvictedSummaryTest, StandsForTokensThatAreAllAlike) {
  const auto key = random(1), value = random(1);
  const SequenceKv exact = sequence([&] { return std::pair(key, value); });
  for (const auto ends : {kernels::PageCodec::kF16, kernels::PageCodec::kBytes}) {
    const auto [without, with] = errors(exact, ends);
    EXPECT_LT(with, without / 20);
  }
}

TEST_F(EvictedSummaryTest, StandsForManyTokensThatDiffer) {
  const SequenceKv exact = sequence([&] { return std::pair(random(0.7, 0.2F), random(1, 0.5F)); });
  const auto [without, with] = errors(exact, kernels::PageCodec::kBytes);
  EXPECT_LT(with, without / 2);
}

TEST_F(EvictedSummaryTest, GetsTheShareThatIsAsked) {
  const auto key = random(1), value = random(1);
  const SequenceKv exact = sequence([&] { return std::pair(key, value); });
  const ReferenceQueries queries = references();
  const auto bias = [&](float share) {
    SequenceKv fork = exact.fork();
    EXPECT_TRUE(fork.compress(first_tokens(), kernels::PageCodec::kBytes, kernels_, 1, {&queries, share}));
    return fork.summary(LayerId(0), KvHeadId(0)).bias;
  };
  EXPECT_NEAR(bias(1) - bias(0.125F), std::log(8), 1e-3);
  EXPECT_EQ(summary_share(4, true), 1);
  EXPECT_EQ(summary_share(64, true), 0.125F);
  EXPECT_EQ(summary_share(64, false), 0.0625F);
}

TEST_F(EvictedSummaryTest, GoesWithForksAndEndsWithTheSequence) {
  const SequenceKv exact = sequence([&] { return std::pair(random(1), random(1)); });
  const ReferenceQueries queries = references();
  SequenceKv compact = exact.fork();
  ASSERT_TRUE(compact.compress(first_tokens(), kernels::PageCodec::kBytes, kernels_, 1, {&queries, 1}));
  const auto summary = compact.summary(LayerId(0), KvHeadId(0));
  ASSERT_NE(summary.vectors, nullptr);
  SequenceKv fork = compact.fork();
  compact.clear();
  EXPECT_EQ(compact.summary(LayerId(0), KvHeadId(0)).vectors, nullptr);
  EXPECT_EQ(fork.summary(LayerId(0), KvHeadId(0)).vectors, summary.vectors) << "shared";
  const SequenceKv moved = std::move(fork);
  EXPECT_EQ(moved.summary(LayerId(0), KvHeadId(0)).bias, summary.bias);
}

/// Nothing was evicted, or only what no query sees any more: nothing to sum up.
TEST_F(EvictedSummaryTest, NothingIsSummedUpWhereNothingIsMissed) {
  const ReferenceQueries queries = references();
  SequenceKv whole = sequence([&] { return std::pair(random(1), random(1)); });
  std::vector<KeptTokens> all(1);
  for (int t = 0; t < kKept + kEvicted; ++t) all[0].exact.push_back(t);
  ASSERT_TRUE(whole.compress(all, kernels::PageCodec::kBytes, kernels_, 1, {&queries, 1}));
  EXPECT_EQ(whole.summary(LayerId(0), KvHeadId(0)).vectors, nullptr);

  KvShape local = kShape;
  local.window = kKept;
  local.local[0] = true;
  SequenceKv windowed = sequence([&] { return std::pair(random(1), random(1)); }, local);
  ASSERT_TRUE(
      windowed.compress(first_tokens(kEvicted), kernels::PageCodec::kBytes, kernels_, 1, {&queries, 1}));
  EXPECT_EQ(windowed.summary(LayerId(0), KvHeadId(0)).vectors, nullptr);
}

}  // namespace
}  // namespace pmt::kv_cache
