// What the tests of summaries and of attention matching share: an exact sequence of one table, compressed to
// its first tokens, and how far its attention is off then.
#pragma once

#include <cmath>
#include <functional>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "compression/encode.h"
#include "kv_cache/attention_plan.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::compression {

using kv_cache::KvHeadId;
using kv_cache::KvShape;
using kv_cache::LayerId;
using kv_cache::PagePool;
using kv_cache::ReferenceQueries;
using kv_cache::SequenceKv;

inline constexpr KvShape kShape{1, 1, 64};
inline constexpr int kGroup = 3, kKept = 64, kEvicted = 576, kReferences = 32;
inline constexpr float kScale = 0.125F;

struct MadeUpFor {
  const ReferenceQueries* queries = nullptr;
  Compensation compensation = Compensation::kNone;
  float share = 1;
};

class CompressFixture : public testing::Test {
 protected:
  std::vector<float> random(double deviation, float mean = 0) {
    std::normal_distribution<float> normal(mean, static_cast<float>(deviation));
    std::vector<float> out(64);
    for (float& x : out) x = normal(rng_);
    return out;
  }

  /// kKept random tokens, then kEvicted ones of `evicted()`.
  template <class Make>
  SequenceKv sequence(Make evicted, const KvShape& shape = kShape,
                      const std::function<std::vector<float>(int)>& kept_key = {}) {
    SequenceKv out(*pool_, shape);
    EXPECT_TRUE(out.reserve(kKept + kEvicted));
    for (int t = 0; t < kKept + kEvicted; ++t) {
      auto [key, value] = t >= kKept ? evicted() : std::pair(kept_key ? kept_key(t) : random(1), random(1));
      kernels_.store_f16(
          key.data(), value.data(), 64, t % kernels::kPageTokens,
          pool_->data(out.table(LayerId(0), KvHeadId(0)).pages.data()[t / kernels::kPageTokens]));
    }
    out.commit(kKept + kEvicted);
    return out;
  }

  static std::vector<KeptTokens> first_tokens(int first = 0) {
    KeptTokens kept;
    for (int t = first; t < first + kKept; ++t) kept.exact.push_back(t);
    return {kept};
  }

  base::Status compress(SequenceKv& sequence, const std::vector<KeptTokens>& kept, kernels::PageCodec tail,
                        const MadeUpFor& by = {}) {
    return sequence.adopt(
        encode(sequence, *pool_,
               {.kept = kept, .tail = tail, .compensation = by.compensation, .summary_share = by.share},
               {.queries = by.queries}));
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
    kv_cache::AttentionPlan plan(*pool_);
    plan.build({{&sequence, 0, 1, sequence.tokens() - 1}}, {kGroup, 64, 1, kScale}, 1, 1);
    std::vector<float> out(q.size());
    auto scratch = std::make_unique<kernels::Scratch>();
    plan.run(LayerId(0), kernels_, q.data(), out.data(), *scratch);
    return out;
  }

  /// How far the compressed attention is off the exact one over fresh queries, root mean square, with nothing
  /// in the evicted tokens' stead, and with a summary or, with `match`, biases and refitted values.
  std::pair<double, double> errors(const SequenceKv& exact, kernels::PageCodec ends, bool match = false) {
    const ReferenceQueries queries = references();
    SequenceKv plain = exact.fork();
    SequenceKv summed_up = exact.fork();
    EXPECT_TRUE(compress(plain, first_tokens(), ends));
    EXPECT_TRUE(compress(summed_up, first_tokens(), ends,
                         {&queries, match ? Compensation::kMatch : Compensation::kSummary}));
    EXPECT_EQ(plain.held().side_tables, 0);
    EXPECT_EQ(summed_up.held().side_tables, match ? kKept + 2 * 4 : 2 * 64 * 2 + 8);
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

}  // namespace pmt::compression
