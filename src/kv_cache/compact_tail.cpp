// SequenceKv::compact_tail.
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::kv_cache {
namespace {

constexpr int kPage = kernels::kPageTokens;

/// to's first `slots` tokens = from's, in pages of bytes.
void copy_slots(const std::byte* from, int head_dim, int slots, std::byte* to) {
  for (int d = 0; d < head_dim; ++d)
    std::memcpy(to + d * kPage, from + d * kPage, static_cast<std::size_t>(slots));
  const std::ptrdiff_t values = std::ptrdiff_t{kPage} * head_dim;
  std::memcpy(to + values, from + values,
              static_cast<std::size_t>(slots) * static_cast<std::size_t>(head_dim));
}

}  // namespace

void SequenceKv::check(const CompactedTail& made) const {
  CHECK(compact() && holder_ == Holder::kRequest && tail_ == kernels::PageCodec::kBytes);
  CHECK(made.tokens > 0 && made.tokens % kPage == 0 && made.tokens + kPage <= recent());
  CHECK(made.compact_pages.size() == tables_.size());
  std::size_t pages = 0;
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    CHECK(made.compact_pages[t] >= 0 && made.compact_pages[t] * kPage <= made.tokens);
    CHECK(!shape_.is_local(t) || made.compact_pages[t] == 0);
    pages += static_cast<std::size_t>(made.compact_pages[t]);
  }
  CHECK(made.pages.size() == pages * pool_->bytes_of(PageSize::kSmall));
}

/// In half pages. What leaves goes first, so its slots have room for two compact pages each.
bool SequenceKv::has_room_for(const CompactedTail& made) const {
  const auto gone = static_cast<std::size_t>(made.tokens / kPage);
  std::size_t halves = 0, smalls = 0, freed = 0;
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    if (shape_.is_local(t)) continue;
    const std::size_t first = static_cast<std::size_t>(compact_in(t) + tail_ends(t) / kPage);
    for (std::size_t i = first; i < first + gone; ++i) freed += pool_->references(tables_[t][i]) == 1 ? 1 : 0;
    const bool merges = tail_ends(t) % kPage != 0;
    halves += merges && pool_->references(tables_[t][first + gone]) > 1 ? 1 : 0;
    smalls += static_cast<std::size_t>(made.compact_pages[t]);
  }
  const std::size_t free = 2 * pool_->pages_free();
  return halves <= free && halves + (smalls + 1) / 2 <= freed + free;
}

/// The tail without `tokens` of its recent ones. The page behind them takes in the ends that shared a page with the
/// first. Returns where the table's compact pages end.
std::size_t SequenceKv::take_from_tail(std::size_t table, int tokens) {
  std::vector<PageId>& pages = tables_[table];
  const int ends = tail_ends(table);
  const auto first = static_cast<std::size_t>(compact_in(table) + ends / kPage);
  const auto gone = static_cast<std::size_t>(tokens / kPage);
  if (ends % kPage != 0) {
    std::vector<std::byte> with_ends(pool_->data(pages[first]),
                                     pool_->data(pages[first]) + pool_->bytes_of(PageSize::kHalf));
    for (std::size_t i = first; i < first + gone; ++i) release(std::exchange(pages[i], kNoPage));
    PageId& behind = pages[first + gone];
    if (pool_->references(behind) > 1) {
      const auto own = pool_->allocate(PageSize::kHalf);
      CHECK(own.has_value());
      std::memcpy(pool_->data(*own), pool_->data(behind), pool_->bytes_of(PageSize::kHalf));
      release(std::exchange(behind, *own));
    }
    copy_slots(with_ends.data(), shape_.head_dim, ends % kPage, pool_->data(behind));
  } else {
    for (std::size_t i = first; i < first + gone; ++i) release(pages[i]);
  }
  pages.erase(pages.begin() + static_cast<std::ptrdiff_t>(first),
              pages.begin() + static_cast<std::ptrdiff_t>(first + gone));
  return static_cast<std::size_t>(compact_in(table));
}

/// Tokens that come from the tail have none: theirs are 0.
std::shared_ptr<const KeptBiases> SequenceKv::biases_with(const CompactedTail& made) const {
  if (biases_ == nullptr) return nullptr;
  std::vector<int> counts;
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    const int before = biases_->of(t).tokens;
    counts.push_back(before == 0 ? 0 : before + made.compact_pages[t] * kPage);
  }
  auto out = std::make_shared<KeptBiases>(counts);
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    const kernels::Biases from = biases_->of(t);
    if (from.tokens == 0) continue;
    const std::ptrdiff_t coded = std::min(from.tokens, compact_in(t) * kPage);
    const std::span<std::int8_t> to = out->steps(t);
    std::copy(from.steps, from.steps + coded, to.begin());
    std::copy(from.steps + coded, from.steps + from.tokens, to.end() - (from.tokens - coded));
  }
  return out;
}

base::Status SequenceKv::compact_tail(const CompactedTail& made) {
  check(made);
  if (!has_room_for(made))
    return base::Error{base::Code::kUnavailable, "the KV page pool has no room for the compressed pages"};
  biases_ = biases_with(made);
  std::vector<std::size_t> at(tables_.size());
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    if (!shape_.is_local(t)) at[t] = take_from_tail(t, made.tokens);
  }
  const std::byte* from = made.pages.data();
  const std::size_t bytes = pool_->bytes_of(PageSize::kSmall);
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    for (int i = 0; i < made.compact_pages[t]; ++i, from += bytes) {
      const auto page = pool_->allocate(PageSize::kSmall);
      CHECK(page.has_value());
      std::memcpy(pool_->data(*page), from, bytes);
      tables_[t].insert(tables_[t].begin() + static_cast<std::ptrdiff_t>(at[t]) + i, *page);
    }
  }
  const int later = std::max(0, made.tokens - recent_kept_);  // of those, came after adopt()
  recent_kept_ = std::max(0, recent_kept_ - made.tokens);
  compressed_tokens_ += later;
  longest_kept_ = 0;
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    compact_pages_[t] += made.compact_pages[t];
    kept_[t] += later + (shape_.is_local(t) ? 0 : made.compact_pages[t] * kPage - made.tokens);
    longest_kept_ = std::max(longest_kept_, kept_[t]);
  }
  return {};
}

}  // namespace pmt::kv_cache
