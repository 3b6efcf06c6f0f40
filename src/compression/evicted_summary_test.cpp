#include <cmath>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "compression/compress_fixture.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::compression {
namespace {

class EvictedSummaryTest : public CompressFixture {};

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
    EXPECT_TRUE(compress(fork, first_tokens(), kernels::PageCodec::kBytes,
                         {&queries, Compensation::kSummary, share}));
    return fork.table(LayerId(0), KvHeadId(0)).summary.bias;
  };
  EXPECT_NEAR(bias(1) - bias(0.125F), std::log(8), 1e-3);
}

TEST_F(EvictedSummaryTest, GoesWithForksAndEndsWithTheSequence) {
  const SequenceKv exact = sequence([&] { return std::pair(random(1), random(1)); });
  const ReferenceQueries queries = references();
  SequenceKv compact = exact.fork();
  ASSERT_TRUE(
      compress(compact, first_tokens(), kernels::PageCodec::kBytes, {&queries, Compensation::kSummary, 1}));
  const auto summary = compact.table(LayerId(0), KvHeadId(0)).summary;
  ASSERT_NE(summary.vectors, nullptr);
  SequenceKv fork = compact.fork();
  compact.clear();
  EXPECT_EQ(compact.table(LayerId(0), KvHeadId(0)).summary.vectors, nullptr);
  EXPECT_EQ(fork.table(LayerId(0), KvHeadId(0)).summary.vectors, summary.vectors) << "shared";
  const SequenceKv moved = std::move(fork);
  EXPECT_EQ(moved.table(LayerId(0), KvHeadId(0)).summary.bias, summary.bias);
}

/// Nothing was evicted, or only what no query sees any more: nothing to sum up.
TEST_F(EvictedSummaryTest, NothingIsSummedUpWhereNothingIsMissed) {
  const ReferenceQueries queries = references();
  SequenceKv whole = sequence([&] { return std::pair(random(1), random(1)); });
  std::vector<KeptTokens> all(1);
  for (int t = 0; t < kKept + kEvicted; ++t) all[0].exact.push_back(t);
  ASSERT_TRUE(compress(whole, all, kernels::PageCodec::kBytes, {&queries, Compensation::kSummary, 1}));
  EXPECT_EQ(whole.table(LayerId(0), KvHeadId(0)).summary.vectors, nullptr);

  KvShape local = kShape;
  local.window = kKept;
  local.local[0] = true;
  SequenceKv windowed = sequence([&] { return std::pair(random(1), random(1)); }, local);
  ASSERT_TRUE(compress(windowed, first_tokens(kEvicted), kernels::PageCodec::kBytes,
                       {&queries, Compensation::kSummary, 1}));
  EXPECT_EQ(windowed.table(LayerId(0), KvHeadId(0)).summary.vectors, nullptr);
}

}  // namespace
}  // namespace pmt::compression
