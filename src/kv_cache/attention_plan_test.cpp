#include "kv_cache/attention_plan.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace pmt::kv_cache {
namespace {

constexpr KvShape kShape{2, 3, 64};
constexpr int kGroup = 3;
constexpr int kRowFloats = 3 * kGroup * 64;

class AttentionPlanTest : public testing::Test {
 protected:
  /// A sequence of `tokens` random keys and values in every layer and head.
  SequenceKv filled(int tokens, const KvShape& shape = kShape) {
    SequenceKv sequence(*pool_, shape);
    EXPECT_TRUE(sequence.reserve(tokens));
    std::normal_distribution<float> normal;
    std::vector<float> k(64), v(64);
    for (std::uint32_t layer = 0; layer < 2; ++layer) {
      for (std::uint32_t head = 0; head < 3; ++head) {
        for (int t = 0; t < tokens; ++t) {
          for (float& x : k) x = normal(rng_);
          for (float& x : v) x = normal(rng_);
          const PageId page =
              sequence.table(LayerId(layer), KvHeadId(head)).pages.data()[t / kernels::kPageTokens];
          kernels_.store_f16(k.data(), v.data(), 64, t % kernels::kPageTokens, pool_->data(page));
        }
      }
    }
    sequence.commit(tokens);
    return sequence;
  }

  std::vector<float> random_queries(int rows) {
    std::normal_distribution<float> normal;
    std::vector<float> q(static_cast<std::size_t>(rows * kRowFloats));
    for (float& x : q) x = normal(rng_);
    return q;
  }

  std::vector<float> run(const std::vector<Span>& spans, const std::vector<float>& q, int threads,
                         LayerId layer) {
    AttentionPlan plan(*pool_);
    plan.build(spans, {kGroup, 64, 3, 0.125F}, 2, threads);
    std::vector<float> out(q.size(), std::nanf(""));
    std::vector<std::thread> workers;
    for (int i = 0; i < threads; ++i) {
      workers.emplace_back([&] {
        auto scratch = std::make_unique<kernels::Scratch>();
        plan.run(layer, kernels_, q.data(), out.data(), *scratch);
      });
    }
    for (auto& worker : workers) worker.join();
    return out;
  }

  std::mt19937 rng_{5};
  const kernels::AttentionKernels& kernels_ = kernels::best_attention_kernels();
  std::unique_ptr<PagePool> pool_ = std::move(*PagePool::create(kernels::f16_page_bytes(64), 64U << 20));
};

TEST_F(AttentionPlanTest, BitsDontDependOnThreadsBatchOrChunk) {
  const SequenceKv a = filled(2500);
  const SequenceKv b = filled(700);
  const auto q = random_queries(41);
  // One batch: 40 new tokens of a, one of b.
  const auto together = run({{&a, 0, 40, 2460}, {&b, 40, 1, 699}}, q, 2, LayerId(1));
  for (const float x : together) ASSERT_FALSE(std::isnan(x)) << "a row was not computed";
  EXPECT_EQ(0,
            std::memcmp(together.data(), run({{&a, 0, 40, 2460}, {&b, 40, 1, 699}}, q, 1, LayerId(1)).data(),
                        together.size() * sizeof(float)));
  // Each token alone, as decoding does, with its segments split between four threads.
  for (const int row : {0, 17, 39, 40}) {
    const std::vector<float> one(q.begin() + row * kRowFloats, q.begin() + (row + 1) * kRowFloats);
    const Span span = row < 40 ? Span{&a, 0, 1, 2460 + row} : Span{&b, 0, 1, 699};
    const auto alone = run({span}, one, 4, LayerId(1));
    ASSERT_EQ(0, std::memcmp(alone.data(), together.data() + row * kRowFloats, kRowFloats * sizeof(float)))
        << "row " << row;
  }
}

/// A local layer gives the same bits from the pages that are left, whatever the plan: layer 1 is local.
TEST_F(AttentionPlanTest, ALocalLayerSeesItsWindowOnly) {
  KvShape shape = kShape;
  shape.window = 600;
  shape.local[1] = true;
  SequenceKv a = filled(2500, shape);
  const auto q = random_queries(40);
  const auto before = run({{&a, 0, 40, 2460}}, q, 2, LayerId(1));
  for (const float x : before) ASSERT_FALSE(std::isnan(x));
  a.drop_unseen();
  EXPECT_EQ(a.held().page_count, 3 * (79U + 79 - 58)) << "58 pages end before token 2500 + 1 - 600 - 32";
  EXPECT_EQ(0, std::memcmp(before.data(), run({{&a, 0, 40, 2460}}, q, 1, LayerId(1)).data(),
                           before.size() * sizeof(float)));
  for (const int row : {0, 17, 39}) {
    const std::vector<float> one(q.begin() + row * kRowFloats, q.begin() + (row + 1) * kRowFloats);
    const auto alone = run({{&a, 0, 1, 2460 + row}}, one, 4, LayerId(1));
    ASSERT_EQ(0, std::memcmp(alone.data(), before.data() + row * kRowFloats, kRowFloats * sizeof(float)));
  }
}

TEST_F(AttentionPlanTest, ALongDecodeIsSplitForEveryThread) {
  const SequenceKv a = filled(4096);
  AttentionPlan plan(*pool_);
  plan.build({{&a, 0, 1, 4095}}, {kGroup, 64, 3, 0.125F}, 2, 2);
  EXPECT_GE(plan.items(), 6U);
  plan.build({{&a, 0, 1, 100}}, {kGroup, 64, 3, 0.125F}, 2, 2);
  EXPECT_EQ(plan.items(), 3U);
}

}  // namespace
}  // namespace pmt::kv_cache
