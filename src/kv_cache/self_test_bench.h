// What the self-tests of pages and of their compression share: one layer and KV head, random keys and values, and
// attention over what a sequence holds. The same numbers each time. Thread-safety: none.
#pragma once

#include <memory>
#include <random>
#include <vector>

#include "kernels/attention.h"
#include "kernels/page_layout.h"
#include "kv_cache/attention_plan.h"
#include "kv_cache/page_pool.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::kv_cache {

inline constexpr int kSelfTestTokens = 96;
inline constexpr KvShape kSelfTestShape{.layers = 1, .kv_heads = 1, .head_dim = 64};

inline std::vector<float> attend(const PagePool& pool, const SequenceKv& sequence,
                                 const std::vector<float>& query) {
  AttentionPlan plan(pool);
  plan.build({{&sequence, 0, 1, sequence.tokens() - 1}}, {1, kSelfTestShape.head_dim, 1, 0.125F}, 1, 1);
  std::vector<float> out(query.size());
  const auto scratch = std::make_unique<kernels::Scratch>();
  plan.run(LayerId(0), kernels::best_attention_kernels(), query.data(), out.data(), *scratch);
  return out;
}

/// A pool, and random keys and values to fill it with.
class SelfTestBench {
 public:
  base::Status open() {
    TRY_ASSIGN(pool_,
               PagePool::create(kernels::f16_page_bytes(kSelfTestShape.head_dim), std::size_t{2} << 20));
    return {};
  }
  PagePool& pool() const { return *pool_; }

  std::vector<float> random() {
    std::vector<float> out(static_cast<std::size_t>(kSelfTestShape.head_dim));
    for (float& x : out) x = normal_(rng_);
    return out;
  }
  base::Status append(SequenceKv& sequence, int count) {
    const int begin = sequence.tokens();
    TRY(sequence.reserve(begin + count));
    for (int t = begin; t < begin + count; ++t) {
      const PageId page =
          sequence.table(LayerId(0), KvHeadId(0)).pages[static_cast<std::size_t>(t / kernels::kPageTokens)];
      kernels::best_attention_kernels().store_f16(random().data(), random().data(), kSelfTestShape.head_dim,
                                                  t % kernels::kPageTokens, pool_->data(page));
    }
    sequence.commit(count);
    return {};
  }

 private:
  std::unique_ptr<PagePool> pool_;
  std::mt19937 rng_{17};
  std::normal_distribution<float> normal_;
};

}  // namespace pmt::kv_cache
