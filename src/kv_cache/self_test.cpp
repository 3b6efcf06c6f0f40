#include "kv_cache/self_test.h"

#include <cmath>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/attention.h"
#include "kv_cache/attention_plan.h"
#include "kv_cache/page_pool.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::kv_cache {
namespace {

constexpr int kTokens = 96;
constexpr KvShape kShape{.layers = 1, .kv_heads = 1, .head_dim = 64};
// A value coded in 3 bits is off by 0.19 of its size; averaged over many tokens by less.
constexpr double kErrorMax = 0.3;

std::vector<float> attend(const PagePool& pool, const SequenceKv& sequence, const std::vector<float>& query) {
  AttentionPlan plan(pool);
  plan.build({{&sequence, 0, 1, kTokens - 1}}, {1, kShape.head_dim, 1, 0.125F}, 1, 1);
  std::vector<float> out(query.size());
  const auto scratch = std::make_unique<kernels::Scratch>();
  plan.run(LayerId(0), kernels::best_attention_kernels(), query.data(), out.data(), *scratch);
  return out;
}

}  // namespace

std::optional<std::string> self_test() {
  const auto& kernels = kernels::best_attention_kernels();
  auto pool = PagePool::create(kernels::f16_page_bytes(kShape.head_dim), std::size_t{2} << 20);
  if (!pool) return pool.error().message;
  SequenceKv sequence(**pool, kShape);
  if (const auto room = sequence.reserve(kTokens); !room) return room.error().message;
  std::mt19937 rng(17);
  std::normal_distribution<float> normal;
  const auto random = [&] {
    std::vector<float> out(static_cast<std::size_t>(kShape.head_dim));
    for (float& x : out) x = normal(rng);
    return out;
  };
  for (int t = 0; t < kTokens; ++t) {
    const PageId page = sequence.page_ids(LayerId(0), KvHeadId(0))[t / kernels::kPageTokens];
    kernels.store_f16(random().data(), random().data(), kShape.head_dim, t % kernels::kPageTokens,
                      (*pool)->data(page));
  }
  sequence.commit(kTokens);
  const auto query = random();
  const auto exact = attend(**pool, sequence, query);
  const std::size_t bytes = (*pool)->stats().bytes_used;
  std::vector<std::int32_t> all(kTokens);
  std::iota(all.begin(), all.end(), 0);
  if (const auto done = sequence.compress({all}, kernels::PageCodec::kCompact, kernels); !done)
    return done.error().message;
  if ((*pool)->stats().bytes_used * 4 != bytes) return "compact pages don't take a quarter of the bytes";
  const auto compact = attend(**pool, sequence, query);
  double off = 0, power = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    off += std::pow(double{compact[i]} - exact[i], 2);
    power += std::pow(double{exact[i]}, 2);
  }
  if (!(std::sqrt(off / power) < kErrorMax)) return "attention over compact pages is off";
  return std::nullopt;
}

}  // namespace pmt::kv_cache
