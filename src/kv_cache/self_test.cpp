#include "kv_cache/self_test.h"

#include <numeric>
#include <vector>

#include "kv_cache/prefix_index.h"
#include "kv_cache/self_test_bench.h"

namespace pmt::kv_cache {

std::optional<std::string> prefix_self_test() {
  SelfTestBench bench;
  if (const auto opened = bench.open(); !opened) return opened.error().message;
  const PagePool& pool = bench.pool();
  std::vector<std::int32_t> tokens(kSelfTestTokens);
  std::iota(tokens.begin(), tokens.end(), 0);
  const auto query = bench.random();
  {
    PrefixIndex index(pool, std::int64_t{1} << 20);
    const PrefixKey key;
    std::vector<float> first;
    {
      SequenceKv read(bench.pool(), kSelfTestShape);
      if (const auto filled = bench.append(read, kSelfTestTokens); !filled) return filled.error().message;
      first = attend(pool, read, query);
      index.insert(key, tokens, read);
    }
    {
      auto shorter = index.find(key, tokens, kSelfTestTokens - kernels::kPageTokens / 2);
      if (!shorter) return "a prefix that was read isn't found";
      if (const auto went_on = bench.append(*shorter, 1); !went_on) return went_on.error().message;
    }
    const auto again = index.find(key, tokens, kSelfTestTokens);
    if (!again || again->tokens() != kSelfTestTokens) return "a prefix lost tokens";
    if (attend(pool, *again, query) != first) return "a prefix changed when a request went on from it";
    tokens.front() = -1;
    if (index.find(key, tokens, kSelfTestTokens)) return "another prompt was taken for a prefix";
  }
  if (pool.stats().bytes_used != 0) return "a prefix's pages did not come back";
  return std::nullopt;
}

}  // namespace pmt::kv_cache
