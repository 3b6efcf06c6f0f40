#include "compression/eviction.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <span>
#include <tuple>

#include "base/check.h"
#include "kernels/page_layout.h"

namespace pmt::compression {
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
std::size_t local_pages(const kv_cache::KvShape& shape, int tokens, std::size_t budget) {
  const auto tables = static_cast<std::size_t>(shape.local_layers() * shape.kv_heads);
  if (tables == 0) return 0;
  const auto window = static_cast<std::size_t>(std::min(shape.window, tokens));
  return std::clamp(budget / 2 / tables, std::size_t{1}, (window + kPage - 1) / kPage);
}

/// The last `pages` pages' worth of tokens, within the window; all but the last page's worth coded.
KeptTokens last_tokens(const kv_cache::KvShape& shape, int tokens, std::size_t pages, bool coded) {
  const int count = std::min({static_cast<int>(pages) * kPage, shape.window, tokens});
  KeptTokens out;
  out.exact.resize(static_cast<std::size_t>(count));
  std::iota(out.exact.begin(), out.exact.end(), tokens - count);
  const auto first = out.exact.begin() + (coded ? (count - 1) / kPage * kPage : 0);
  out.coded.assign(out.exact.begin(), first);
  out.exact.erase(out.exact.begin(), first);
  return out;
}

/// Pages' worth of ranked tokens, from `first` of each table's order on, until the budget is spent.
/// A page is worth what its middle token is: its best may be a lone peak, its last is the next page's best.
class Market {
 public:
  /// The table's order beyond its first `first` tokens; only whole pages when `whole`.
  /// The first `floor` of them are sold before any other.
  void offer(std::size_t table, const float* scores, std::span<const std::int32_t> order, bool whole,
             std::size_t floor) {
    const std::size_t pages = (order.size() + (whole ? 0 : kPage - 1)) / kPage;
    for (std::size_t page = 0; page < pages; ++page) {
      const std::size_t middle = std::min(page * kPage + kPage / 2, order.size() - 1);
      const float price = page < floor ? std::numeric_limits<float>::infinity() : scores[order[middle]];
      offers_.emplace_back(price, static_cast<std::uint32_t>(table));
    }
  }

  /// How many pages each table gets of `budget`.
  std::vector<std::size_t> sell(std::size_t budget, std::size_t tables) {
    const std::size_t sold = std::min(budget, offers_.size());
    std::nth_element(offers_.begin(), offers_.begin() + static_cast<std::ptrdiff_t>(sold), offers_.end(),
                     std::greater<>());
    std::vector<std::size_t> pages(tables);
    for (std::size_t i = 0; i < sold; ++i) ++pages[std::get<1>(offers_[i])];
    return pages;
  }

 private:
  std::vector<std::tuple<float, std::uint32_t>> offers_;
};

/// What a ratio's budget comes to.
struct Terms {
  std::size_t pages_local = 0;    // of each local table
  int certain = 0;                // tokens that every other table keeps
  std::size_t pages_offered = 0;  // for which those tables compete
  std::size_t pages_floor = 0;    // of them, what each table gets in any case
};

Terms terms_of(const kv_cache::KvShape& shape, int tokens, const EvictionOptions& options) {
  const bool coded = is_coded(options.ratio);
  const auto codec = coded ? kernels::PageCodec::kCompact : kernels::PageCodec::kF16;
  const auto page_bytes = static_cast<double>(kernels::page_bytes(codec, shape.head_dim));
  const double pages = static_cast<double>(shape.bytes_f16(tokens)) / options.ratio / page_bytes;
  Terms out;
  out.pages_local = local_pages(shape, tokens, static_cast<std::size_t>(pages));
  const auto pages_of_local =
      static_cast<double>(out.pages_local * static_cast<std::size_t>(shape.local_layers() * shape.kv_heads));
  const double globals = (shape.layers - shape.local_layers()) * shape.kv_heads;
  double offered = 0;
  if (coded) {
    // In the page of bytes that a table has anyway. The best of those tokens come free; where the others
    // would take more than half of the budget, so does the rest of them.
    const auto tail = static_cast<double>(kernels::page_bytes(tail_of(options.ratio), shape.head_dim));
    const int paid = options.protect_first + options.protect_last;
    out.certain = paid + options.best_exact;
    offered = std::max(pages / 2, pages - globals * tail / page_bytes * paid / kPage);
    offered = std::max(offered + globals * options.question_tokens / kPage, globals * options.coded_mean_min);
  } else {
    const double mean = (pages - pages_of_local) / std::max(1.0, globals);
    out.certain = kPage * std::max(1, static_cast<int>(mean * options.floor_share));
    offered = pages - globals * (std::min(out.certain, tokens) / kPage);
  }
  out.certain = std::min(out.certain, tokens);
  out.pages_offered = static_cast<std::size_t>(std::max(0.0, offered - pages_of_local));
  if (coded) {
    const double mean = static_cast<double>(out.pages_offered) / std::max(1.0, globals);
    out.pages_floor = static_cast<std::size_t>(mean * options.coded_floor_share + 0.5);
  }
  return out;
}

}  // namespace

std::vector<KeptTokens> choose_kept(const kv_cache::ScoreBuffer& scores, const kv_cache::KvShape& shape,
                                    int tokens, const EvictionOptions& options) {
  CHECK(tokens > 0 && options.ratio >= 1);
  const auto tables = static_cast<std::size_t>(shape.layers * shape.kv_heads);
  CHECK(scores.values.size() == tables * scores.stride);
  const bool coded = is_coded(options.ratio);
  const Terms terms = terms_of(shape, tokens, options);

  std::vector<KeptTokens> kept(tables);
  std::vector<std::vector<std::int32_t>> orders(tables);
  Market market;
  for (std::size_t table = 0; table < tables; ++table) {
    if (shape.is_local(table)) {
      kept[table] = last_tokens(shape, tokens, terms.pages_local, coded);
      continue;
    }
    const float* row = scores.values.data() + table * scores.stride;
    orders[table] = ranked(row, tokens, options);
    market.offer(table, row, std::span(orders[table]).subspan(static_cast<std::size_t>(terms.certain)), coded,
                 terms.pages_floor);
  }
  const auto pages = market.sell(terms.pages_offered, tables);
  for (std::size_t table = 0; table < tables; ++table) {
    if (shape.is_local(table)) continue;
    const auto first = orders[table].begin() + terms.certain;
    const auto bought = static_cast<std::ptrdiff_t>(pages[table] * kPage);
    auto& into = coded ? kept[table].coded : kept[table].exact;
    kept[table].exact.assign(orders[table].begin(), first);
    into.insert(into.end(), first, first + std::min(bought, orders[table].end() - first));
    std::sort(kept[table].coded.begin(), kept[table].coded.end());
    std::sort(kept[table].exact.begin(), kept[table].exact.end());
  }
  return kept;
}

std::vector<std::vector<std::int32_t>> choose_coded(const kv_cache::ScoreBuffer& scores,
                                                    const kv_cache::KvShape& shape, int tokens,
                                                    double ratio) {
  CHECK(tokens % kPage == 0 && is_coded(ratio));
  constexpr EvictionOptions kNoneProtected{.protect_first = 0, .protect_last = 0};
  constexpr double kCodedRatio = 4;  // of a compact page
  const std::size_t tables = shape.tables();
  std::vector<std::vector<std::int32_t>> kept(tables);
  Market market;
  std::size_t offered = 0;
  for (std::size_t table = 0; table < tables; ++table) {
    if (shape.is_local(table)) continue;
    offered += static_cast<std::size_t>(tokens / kPage);
    if (scores.values.empty()) {
      kept[table].resize(static_cast<std::size_t>(tokens));
      std::iota(kept[table].begin(), kept[table].end(), 0);
      continue;
    }
    const float* row = scores.values.data() + table * scores.stride;
    kept[table] = ranked(row, tokens, kNoneProtected);
    market.offer(table, row, kept[table], true, 0);
  }
  if (scores.values.empty()) return kept;
  const auto pages =
      market.sell(static_cast<std::size_t>(static_cast<double>(offered) * kCodedRatio / ratio), tables);
  for (std::size_t table = 0; table < tables; ++table) {
    if (shape.is_local(table)) continue;
    kept[table].resize(pages[table] * kPage);
    std::sort(kept[table].begin(), kept[table].end());
  }
  return kept;
}

}  // namespace pmt::compression
