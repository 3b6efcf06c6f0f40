#include "compression/self_test.h"

#include <cmath>
#include <numeric>
#include <vector>

#include "compression/encode.h"
#include "compression/plan.h"
#include "kernels/page_layout.h"
#include "kv_cache/self_test_bench.h"

namespace pmt::compression {
namespace {

using kv_cache::PagePool;
using kv_cache::SequenceKv;

// A value coded in 3 bits is off by 0.19 of its size; averaged over many tokens by less.
constexpr double kErrorMax = 0.3;

}  // namespace

std::optional<std::string> self_test() {
  kv_cache::SelfTestBench bench;
  if (const auto opened = bench.open(); !opened) return opened.error().message;
  const PagePool& pool = bench.pool();
  SequenceKv sequence(bench.pool(), kv_cache::kSelfTestShape);
  if (const auto filled = bench.append(sequence, kv_cache::kSelfTestTokens); !filled)
    return filled.error().message;
  const auto query = bench.random();
  const auto exact = kv_cache::attend(pool, sequence, query);
  const std::size_t bytes = pool.stats().bytes_used;
  // All tokens stay: as many as fill pages coded, the last page's worth exact.
  Plan everything{.kept = std::vector<KeptTokens>(1), .tail = kernels::PageCodec::kBytes};
  KeptTokens& all = everything.kept[0];
  all.exact.resize(kv_cache::kSelfTestTokens);
  std::iota(all.exact.begin(), all.exact.end(), 0);
  const auto coded =
      all.exact.begin() + (kv_cache::kSelfTestTokens - 1) / kernels::kPageTokens * kernels::kPageTokens;
  all.coded.assign(all.exact.begin(), coded);
  all.exact.erase(all.exact.begin(), coded);
  if (const auto done = sequence.adopt(encode(sequence, pool, everything, {})); !done)
    return done.error().message;
  const std::size_t page = pool.bytes_of(kv_cache::PageSize::kLarge);
  if (pool.stats().bytes_used != (bytes - page) / 4 + page / 2)
    return "compact pages don't take a quarter of the bytes, and the last one half";
  const auto compact = kv_cache::attend(pool, sequence, query);
  double off = 0, power = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    off += std::pow(double{compact[i]} - exact[i], 2);
    power += std::pow(double{exact[i]}, 2);
  }
  if (!(std::sqrt(off / power) < kErrorMax)) return "attention over compact pages is off";
  return std::nullopt;
}

}  // namespace pmt::compression
