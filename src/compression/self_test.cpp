#include "compression/self_test.h"

#include <cmath>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "compression/encode.h"
#include "compression/plan.h"
#include "kernels/attention.h"
#include "kernels/page_layout.h"
#include "kv_cache/attention_plan.h"
#include "kv_cache/page_pool.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::compression {
namespace {

using kv_cache::KvHeadId;
using kv_cache::LayerId;
using kv_cache::PagePool;
using kv_cache::SequenceKv;

constexpr int kTokens = 96;
constexpr kv_cache::KvShape kShape{.layers = 1, .kv_heads = 1, .head_dim = 64};
// A value coded in 3 bits is off by 0.19 of its size; averaged over many tokens by less.
constexpr double kErrorMax = 0.3;

std::vector<float> attend(const PagePool& pool, const SequenceKv& sequence, const std::vector<float>& query) {
  kv_cache::AttentionPlan plan(pool);
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
      const kv_cache::PageId page =
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

std::optional<std::string> self_test() {
  Bench bench;
  if (const auto opened = bench.open(); !opened) return opened.error().message;
  const PagePool& pool = bench.pool();
  SequenceKv sequence(bench.pool(), kShape);
  if (const auto filled = bench.append(sequence, kTokens); !filled) return filled.error().message;
  const auto query = bench.random();
  const auto exact = attend(pool, sequence, query);
  const std::size_t bytes = pool.stats().bytes_used;
  // All tokens stay: as many as fill pages coded, the last page's worth exact.
  Plan everything{.kept = std::vector<KeptTokens>(1), .tail = kernels::PageCodec::kBytes};
  KeptTokens& all = everything.kept[0];
  all.exact.resize(kTokens);
  std::iota(all.exact.begin(), all.exact.end(), 0);
  const auto coded = all.exact.begin() + (kTokens - 1) / kernels::kPageTokens * kernels::kPageTokens;
  all.coded.assign(all.exact.begin(), coded);
  all.exact.erase(all.exact.begin(), coded);
  if (const auto done = sequence.adopt(encode(sequence, pool, everything, {})); !done)
    return done.error().message;
  const std::size_t page = pool.bytes_of(kv_cache::PageSize::kLarge);
  if (pool.stats().bytes_used != (bytes - page) / 4 + page / 2)
    return "compact pages don't take a quarter of the bytes, and the last one half";
  const auto compact = attend(pool, sequence, query);
  double off = 0, power = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    off += std::pow(double{compact[i]} - exact[i], 2);
    power += std::pow(double{exact[i]}, 2);
  }
  if (!(std::sqrt(off / power) < kErrorMax)) return "attention over compact pages is off";
  return std::nullopt;
}

}  // namespace pmt::compression
