#include "kv_cache/eviction.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>

#include "base/check.h"
#include "kernels/page_layout.h"

namespace pmt::kv_cache {
namespace {

constexpr int kPage = kernels::kPageTokens;

/// Token numbers by falling score; ties go to the later token.
std::vector<std::int32_t> ranked(const float* scores, int tokens, const EvictionOptions& options) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(tokens));
  std::iota(order.begin(), order.end(), 0);
  const auto value = [&](std::int32_t t) {
    const bool is_protected = t < options.protect_first || t >= tokens - options.protect_last;
    return is_protected ? std::numeric_limits<float>::infinity() : scores[t];
  };
  std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return std::tuple(value(a), a) > std::tuple(value(b), b);
  });
  return order;
}

/// Pages of each local table: its whole window, if that is no more than half the budget.
std::size_t local_pages(const KvShape& shape, int tokens, std::size_t budget) {
  const auto tables = static_cast<std::size_t>(shape.local_layers() * shape.kv_heads);
  if (tables == 0) return 0;
  const auto window = static_cast<std::size_t>(std::min(shape.window, tokens));
  return std::clamp(budget / 2 / tables, std::size_t{1}, (window + kPage - 1) / kPage);
}

/// The last `pages` pages' worth of tokens, within the window.
std::vector<std::int32_t> last_tokens(const KvShape& shape, int tokens, std::size_t pages) {
  const int count = std::min({static_cast<int>(pages) * kPage, shape.window, tokens});
  std::vector<std::int32_t> out(static_cast<std::size_t>(count));
  std::iota(out.begin(), out.end(), tokens - count);
  return out;
}

}  // namespace

std::vector<std::vector<std::int32_t>> choose_kept(const ScoreBuffer& scores, const KvShape& shape,
                                                   int tokens, const EvictionOptions& options) {
  CHECK(tokens > 0 && options.ratio >= 1);
  const auto tables = static_cast<std::size_t>(shape.layers * shape.kv_heads);
  CHECK(scores.values.size() == tables * scores.stride);
  const double budget_bytes = static_cast<double>(shape.bytes_f16(tokens)) / options.ratio;
  const std::size_t page_bytes = kernels::page_bytes(codec_for(options.ratio), shape.head_dim);
  const auto whole_budget = static_cast<std::size_t>(budget_bytes / static_cast<double>(page_bytes));
  const auto pages_whole = static_cast<std::size_t>((tokens + kPage - 1) / kPage);
  const auto is_local = [&](std::size_t table) {
    return shape.window_of(
               LayerId(static_cast<std::uint32_t>(table / static_cast<std::size_t>(shape.kv_heads)))) > 0;
  };
  const std::size_t of_local = local_pages(shape, tokens, whole_budget);
  const auto locals = static_cast<std::size_t>(shape.local_layers() * shape.kv_heads);
  const std::size_t globals = tables - locals;
  const std::size_t budget = whole_budget - std::min(whole_budget, of_local * locals);
  const double mean = static_cast<double>(budget) / static_cast<double>(std::max<std::size_t>(1, globals));
  const auto floor =
      std::clamp(static_cast<std::size_t>(mean * options.floor_share), std::size_t{1}, pages_whole);

  // A page is worth what its middle token is: its best may be a lone peak, its last is the next page's best.
  std::vector<std::tuple<float, std::uint32_t>> offers;
  std::vector<std::vector<std::int32_t>> kept(tables);
  for (std::size_t table = 0; table < tables; ++table) {
    if (is_local(table)) {
      kept[table] = last_tokens(shape, tokens, of_local);
      continue;
    }
    const float* row = scores.values.data() + table * scores.stride;
    kept[table] = ranked(row, tokens, options);
    for (std::size_t page = floor; page < pages_whole; ++page) {
      const std::size_t middle = std::min(page * kPage + kPage / 2, static_cast<std::size_t>(tokens) - 1);
      offers.emplace_back(row[kept[table][middle]], static_cast<std::uint32_t>(table));
    }
  }
  const std::size_t rest = budget > floor * globals ? std::min(budget - floor * globals, offers.size()) : 0;
  std::nth_element(offers.begin(), offers.begin() + static_cast<std::ptrdiff_t>(rest), offers.end(),
                   std::greater<>());
  std::vector<std::size_t> pages(tables, floor);
  for (std::size_t i = 0; i < rest; ++i) ++pages[std::get<1>(offers[i])];
  for (std::size_t table = 0; table < tables; ++table) {
    if (is_local(table)) continue;
    kept[table].resize(std::min(pages[table] * kPage, static_cast<std::size_t>(tokens)));
    std::sort(kept[table].begin(), kept[table].end());
  }
  return kept;
}

}  // namespace pmt::kv_cache
