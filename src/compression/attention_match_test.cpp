#include "compression/attention_match.h"

#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "compression/compress_fixture.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::compression {
namespace {

class AttentionMatchTest : public CompressFixture {
 protected:
  static MadeUpFor matched(const ReferenceQueries& queries) { return {&queries, Compensation::kMatch}; }
};

/// Every evicted token has the key of a kept one, and a value of its own: the kept one's bias stands for
/// their number, its value becomes their mean.
TEST_F(AttentionMatchTest, ABiasStandsForTokensWithTheSameKey) {
  std::vector<std::vector<float>> keys;
  for (int t = 0; t < kKept; ++t) keys.push_back(random(1));
  int t = 0;
  SequenceKv exact =
      sequence([&] { return std::pair(keys[static_cast<std::size_t>(t++ % kKept)], random(1)); }, kShape,
               [&](int kept) { return keys[static_cast<std::size_t>(kept)]; });
  const auto [without, with] = errors(exact, kernels::PageCodec::kF16, true);
  EXPECT_LT(with, without / 2);
  const ReferenceQueries queries = references();
  ASSERT_TRUE(compress(exact, first_tokens(), kernels::PageCodec::kF16, matched(queries)));
  const kernels::Biases biases = exact.table(LayerId(0), KvHeadId(0)).biases;
  ASSERT_EQ(biases.tokens, kKept);
  const double mean = std::accumulate(biases.steps, biases.steps + kKept, 0.0) / kKept * kernels::kBiasStep;
  EXPECT_NEAR(mean, std::log(1 + kEvicted / kKept), 0.5);
}

TEST_F(AttentionMatchTest, StandsForManyTokensThatDiffer) {
  const SequenceKv exact = sequence([&] { return std::pair(random(0.7, 0.2F), random(1, 0.5F)); });
  for (const auto ends : {kernels::PageCodec::kF16, kernels::PageCodec::kBytes}) {
    const auto [without, with] = errors(exact, ends, true);
    EXPECT_LT(with, without / 2);
  }
}

TEST_F(AttentionMatchTest, TokensThatComeLaterHaveNoBias) {
  SequenceKv compact = sequence([&] { return std::pair(random(1), random(1)); });
  const ReferenceQueries queries = references();
  ASSERT_TRUE(compress(compact, first_tokens(), kernels::PageCodec::kBytes, matched(queries)));
  ASSERT_TRUE(compact.reserve(3));
  compact.commit(3);
  EXPECT_EQ(compact.slot(LayerId(0), KvHeadId(0), kKept + kEvicted),
            compact.table(LayerId(0), KvHeadId(0)).biases.tokens);
  EXPECT_EQ(compact.table(LayerId(0), KvHeadId(0)).summary.vectors, nullptr) << "one or the other";
}

TEST_F(AttentionMatchTest, GoesWithForksAndEndsWithTheSequence) {
  SequenceKv compact = sequence([&] { return std::pair(random(1), random(1)); });
  const ReferenceQueries queries = references();
  ASSERT_TRUE(compress(compact, first_tokens(), kernels::PageCodec::kBytes, matched(queries)));
  const std::int8_t* steps = compact.table(LayerId(0), KvHeadId(0)).biases.steps;
  SequenceKv fork = compact.fork();
  compact.clear();
  EXPECT_EQ(compact.table(LayerId(0), KvHeadId(0)).biases.tokens, 0);
  const SequenceKv moved = std::move(fork);
  EXPECT_EQ(moved.table(LayerId(0), KvHeadId(0)).biases.steps, steps) << "shared";
}

/// Queries that see nothing of what is kept: no number turns into none.
TEST_F(AttentionMatchTest, HoldsWhereTheKeptTokensHaveNoShare) {
  SequenceKv compact = sequence([&] { return std::pair(random(0.1, 40), random(1)); }, kShape,
                                [&](int) { return random(0.1, -40); });
  ReferenceQueries queries = references();
  for (float& x : queries.values) x = std::abs(x) + 1;
  ASSERT_TRUE(compress(compact, first_tokens(), kernels::PageCodec::kF16, matched(queries)));
  for (const float x : attend(compact, std::vector<float>(kGroup * 64, 1.0F))) EXPECT_TRUE(std::isfinite(x));
}

/// Where nothing was evicted, or only what no query sees any more, every bit of the values stays.
TEST_F(AttentionMatchTest, NothingIsMatchedWhereNothingIsMissed) {
  const ReferenceQueries queries = references();
  SequenceKv whole = sequence([&] { return std::pair(random(1), random(1)); });
  std::vector<KeptTokens> all(1);
  for (int t = 0; t < kKept + kEvicted; ++t) all[0].exact.push_back(t);
  const std::vector<float> q = random(1);
  std::vector<float> group;
  for (int g = 0; g < kGroup; ++g) group.insert(group.end(), q.begin(), q.end());
  const auto before = attend(whole, group);
  ASSERT_TRUE(compress(whole, all, kernels::PageCodec::kF16, matched(queries)));
  EXPECT_EQ(attend(whole, group), before);

  KvShape local = kShape;
  local.window = kKept;
  local.local[0] = true;
  SequenceKv windowed = sequence([&] { return std::pair(random(1), random(1)); }, local);
  ASSERT_TRUE(compress(windowed, first_tokens(kEvicted), kernels::PageCodec::kBytes, matched(queries)));
  EXPECT_EQ(windowed.table(LayerId(0), KvHeadId(0)).biases.tokens, 0);
}

}  // namespace
}  // namespace pmt::compression
