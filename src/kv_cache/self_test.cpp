#include "kv_cache/self_test.h"

#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/attention.h"
#include "kv_cache/attention_plan.h"
#include "kv_cache/page_pool.h"
#include "kv_cache/prefix_index.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::kv_cache {
namespace {

constexpr int kTokens = 96;
constexpr KvShape kShape{.layers = 1, .kv_heads = 1, .head_dim = 64};

std::vector<float> attend(const PagePool& pool, const SequenceKv& sequence, const std::vector<float>& query) {
  AttentionPlan plan(pool);
  plan.build({{&sequence, 0, 1, sequence.tokens() - 1}}, {1, kShape.head_dim, 1, 0.125F}, 1, 1);
  std::vector<float> out(query.size());
  const auto scratch = std::make_unique<kernels::Scratch>();
  plan.run(LayerId(0), kernels::best_attention_kernels(), query.data(), out.data(), *scratch);
  return out;
}

/// A pool, and random keys and values to fill it with.
class Bench {
 public:
  base::Status open() {
    TRY_ASSIGN(pool_, PagePool::create(kernels::f16_page_bytes(kShape.head_dim), std::size_t{2} << 20));
    return {};
  }
  PagePool& pool() const { return *pool_; }

  std::vector<float> random() {
    std::vector<float> out(static_cast<std::size_t>(kShape.head_dim));
    for (float& x : out) x = normal_(rng_);
    return out;
  }
  base::Status append(SequenceKv& sequence, int count) {
    const int begin = sequence.tokens();
    TRY(sequence.reserve(begin + count));
    for (int t = begin; t < begin + count; ++t) {
      const PageId page =
          sequence.table(LayerId(0), KvHeadId(0)).pages[static_cast<std::size_t>(t / kernels::kPageTokens)];
      kernels::best_attention_kernels().store_f16(random().data(), random().data(), kShape.head_dim,
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

}  // namespace

std::optional<std::string> prefix_self_test() {
  Bench bench;
  if (const auto opened = bench.open(); !opened) return opened.error().message;
  const PagePool& pool = bench.pool();
  std::vector<std::int32_t> tokens(kTokens);
  std::iota(tokens.begin(), tokens.end(), 0);
  const auto query = bench.random();
  {
    PrefixIndex index(pool, std::int64_t{1} << 20);
    const PrefixKey key;
    std::vector<float> first;
    {
      SequenceKv read(bench.pool(), kShape);
      if (const auto filled = bench.append(read, kTokens); !filled) return filled.error().message;
      first = attend(pool, read, query);
      index.insert(key, tokens, read);
    }
    {
      auto shorter = index.find(key, tokens, kTokens - kernels::kPageTokens / 2);
      if (!shorter) return "a prefix that was read isn't found";
      if (const auto went_on = bench.append(*shorter, 1); !went_on) return went_on.error().message;
    }
    const auto again = index.find(key, tokens, kTokens);
    if (!again || again->tokens() != kTokens) return "a prefix lost tokens";
    if (attend(pool, *again, query) != first) return "a prefix changed when a request went on from it";
    tokens.front() = -1;
    if (index.find(key, tokens, kTokens)) return "another prompt was taken for a prefix";
  }
  if (pool.stats().bytes_used != 0) return "a prefix's pages did not come back";
  return std::nullopt;
}

}  // namespace pmt::kv_cache
