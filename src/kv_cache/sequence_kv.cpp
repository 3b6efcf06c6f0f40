#include "kv_cache/sequence_kv.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include "base/check.h"

namespace pmt::kv_cache {
namespace {

constexpr int kMatchRows = 4 * kernels::kRowsMax;  // queries of a head's group that a table is matched for

std::size_t pages_for(int slots) {
  return static_cast<std::size_t>((slots + kernels::kPageTokens - 1) / kernels::kPageTokens);
}

}  // namespace

SequenceKv::SequenceKv(PagePool& pool, KvShape shape)
    : pool_(&pool), shape_(shape), tables_(static_cast<std::size_t>(shape.layers * shape.kv_heads)) {}

SequenceKv::SequenceKv(SequenceKv&& other) noexcept
    : pool_(other.pool_),
      shape_(other.shape_),
      holder_(other.holder_),
      tokens_(std::exchange(other.tokens_, 0)),
      compressed_tokens_(std::exchange(other.compressed_tokens_, 0)),
      longest_kept_(std::exchange(other.longest_kept_, 0)),
      dropped_pages_(std::exchange(other.dropped_pages_, 0)),
      ends_(std::exchange(other.ends_, kernels::PageCodec::kF16)),
      kept_(std::exchange(other.kept_, {})),
      coded_(std::exchange(other.coded_, {})),
      summaries_(std::exchange(other.summaries_, {})),
      biases_(std::exchange(other.biases_, {})),
      tables_(std::exchange(other.tables_, {})) {}

SequenceKv& SequenceKv::operator=(SequenceKv&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(shape_, other.shape_);
  std::swap(holder_, other.holder_);
  std::swap(tokens_, other.tokens_);
  std::swap(compressed_tokens_, other.compressed_tokens_);
  std::swap(longest_kept_, other.longest_kept_);
  std::swap(dropped_pages_, other.dropped_pages_);
  std::swap(ends_, other.ends_);
  std::swap(kept_, other.kept_);
  std::swap(coded_, other.coded_);
  std::swap(summaries_, other.summaries_);
  std::swap(biases_, other.biases_);
  std::swap(tables_, other.tables_);
  return *this;
}

bool SequenceKv::last_page_is_shared(std::size_t table) const {
  const int next = slot_of(table, tokens_);
  if (next % kernels::kPageTokens == 0) return false;  // the next token starts a page of its own
  return pool_->references(tables_[table][pages_for(next) - 1]) > 1;
}

std::size_t SequenceKv::pages_needed(int tokens) const {
  if (tokens == 0) return 0;
  std::size_t fresh = 0;
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    const std::size_t want = pages_for(slot_of(t, tokens_ + tokens));
    fresh += want > tables_[t].size() ? want - tables_[t].size() : 0;
    fresh += last_page_is_shared(t) ? 1 : 0;
  }
  return ends_size() == PageSize::kLarge ? fresh : (fresh + 1) / 2;
}

base::Status SequenceKv::reserve(int tokens) {
  CHECK(tokens >= 0 && holder_ == Holder::kRequest);
  if (pages_needed(tokens) > pool_->pages_free()) {
    return base::Error{base::Code::kUnavailable,
                       "the KV page pool has no room for this sequence's next tokens"};
  }
  for (std::size_t t = 0; tokens > 0 && t < tables_.size(); ++t) {
    auto& pages = tables_[t];
    if (last_page_is_shared(t)) {
      PageId& last = pages[pages_for(slot_of(t, tokens_)) - 1];
      TRY_ASSIGN(const PageId copy, pool_->allocate(ends_size()));
      std::memcpy(pool_->data(copy), pool_->data(last), pool_->bytes_of(ends_size()));
      release(std::exchange(last, copy));
    }
    const std::size_t want = pages_for(slot_of(t, tokens_ + tokens));
    while (pages.size() < want) {
      TRY_ASSIGN(const PageId page, pool_->allocate(ends_size()));
      pages.push_back(page);
    }
  }
  return {};
}

void SequenceKv::commit(int tokens) {
  tokens_ += tokens;
  CHECK(pages_for(slot_of(0, tokens_)) <= tables_[0].size());
}

void SequenceKv::truncate(int tokens) {
  CHECK(tokens >= tokens_min() || (tokens == 0 && !compact()));
  if (tokens == 0 && !compact()) return clear();
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    const std::size_t keep = pages_for(slot_of(t, tokens));
    while (tables_[t].size() > keep) {
      release(tables_[t].back());
      tables_[t].pop_back();
    }
  }
  tokens_ = tables_.empty() ? 0 : tokens;
}

void SequenceKv::drop_unseen() {
  if (shape_.local_layers() == 0) return;
  int drop = dropped_pages_;
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    if (!is_local(t)) continue;
    // Every local table has as many slots, so what one may drop all may.
    const int hidden = slot_of(t, tokens_) + 1 - kTruncatedMax - shape_.window;
    drop = std::max(drop, hidden / kernels::kPageTokens);
    for (int page = dropped_pages_; page < drop; ++page)
      release(std::exchange(tables_[t][static_cast<std::size_t>(page)], kNoPage));
  }
  dropped_pages_ = drop;
}

int SequenceKv::tokens_min() const {
  if (dropped_pages_ == 0) return compressed_tokens_;
  for (std::size_t t = 0;; ++t) {
    if (!is_local(t)) continue;
    // The next query, at position p, sees the slots from slot_of(p) + 1 - window on.
    const int first = dropped_pages_ * kernels::kPageTokens;
    return std::max(compressed_tokens_, first + shape_.window - 1 - slot_of(t, 0));
  }
}

std::size_t SequenceKv::local_pages_at_most(const KvShape& shape, int tokens, int step_tokens) {
  return std::min(pages_for(tokens), pages_for(shape.window + kTruncatedMax + step_tokens) + 1);
}

std::size_t SequenceKv::pages_at_most(const KvShape& shape, int tokens, int step_tokens) {
  const auto local = static_cast<std::size_t>(shape.local_layers());
  return static_cast<std::size_t>(shape.kv_heads) *
         ((static_cast<std::size_t>(shape.layers) - local) * pages_for(tokens) +
          local * local_pages_at_most(shape, tokens, step_tokens));
}

void SequenceKv::clear() {
  for (auto& pages : tables_) {
    for (const PageId page : pages) release(page);
    pages.clear();
  }
  kept_.clear();
  coded_.clear();
  summaries_.reset();
  biases_.reset();
  ends_ = kernels::PageCodec::kF16;
  tokens_ = 0;
  compressed_tokens_ = 0;
  longest_kept_ = 0;
  dropped_pages_ = 0;
}

SequenceKv SequenceKv::fork(Holder holder) const {
  SequenceKv copy(*pool_, shape_);
  copy.holder_ = holder;
  copy.tokens_ = tokens_;
  copy.compressed_tokens_ = compressed_tokens_;
  copy.longest_kept_ = longest_kept_;
  copy.dropped_pages_ = dropped_pages_;
  copy.ends_ = ends_;
  copy.kept_ = kept_;
  copy.coded_ = coded_;
  copy.summaries_ = summaries_;
  copy.biases_ = biases_;
  copy.tables_ = tables_;
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    // Pages that were reserved past the committed tokens belong to this sequence alone.
    copy.tables_[t].resize(pages_for(slot_of(t, tokens_)));
    for (const PageId page : copy.tables_[t]) {
      if (page != kNoPage) pool_->add_reference(page, holder);
    }
  }
  return copy;
}

void SequenceKv::check_kept(const std::vector<KeptTokens>& kept) const {
  CHECK(kept.size() == tables_.size());
  const KeptTokens* of_local = nullptr;
  for (std::size_t t = 0; t < kept.size(); ++t) {
    CHECK(kept[t].coded.size() % kernels::kPageTokens == 0 && !kept[t].exact.empty());
    if (!is_local(t)) continue;
    const auto count = static_cast<int>(kept[t].size());
    const std::int32_t first = kept[t].coded.empty() ? kept[t].exact.front() : kept[t].coded.front();
    CHECK(count <= shape_.window && first == tokens_ - count && kept[t].exact.back() == tokens_ - 1);
    CHECK(of_local == nullptr ||
          (of_local->coded.size() == kept[t].coded.size() && of_local->exact.size() == kept[t].exact.size()));
    of_local = &kept[t];
  }
}

SequenceKv::Kept SequenceKv::load(std::size_t table, const KeptTokens& kept,
                                  const kernels::AttentionKernels& kernels) const {
  const auto width = static_cast<std::size_t>(shape_.head_dim);
  Kept out{std::vector<float>(kept.size() * width), std::vector<float>(kept.size() * width)};
  std::size_t at = 0;
  for (const auto* part : {&kept.coded, &kept.exact}) {
    for (const std::int32_t token : *part) {
      CHECK(token >= 0 && token < tokens_);
      const PageId page = tables_[table][static_cast<std::size_t>(token / kernels::kPageTokens)];
      kernels.load_f16(pool_->data(page), shape_.head_dim, token % kernels::kPageTokens, &out.keys[at],
                       &out.values[at]);
      at += width;
    }
  }
  return out;
}

void SequenceKv::code(const Kept& vectors, const KeptTokens& kept, kernels::PageCodec ends,
                      const kernels::AttentionKernels& kernels, std::byte* to) const {
  std::size_t at = 0;
  const auto each = [&](std::size_t tokens, auto store, std::size_t page_bytes) {
    for (std::size_t slot = 0; slot < tokens; ++slot, at += static_cast<std::size_t>(shape_.head_dim)) {
      store(&vectors.keys[at], &vectors.values[at], shape_.head_dim,
            static_cast<int>(slot % kernels::kPageTokens), to + page_bytes * (slot / kernels::kPageTokens));
    }
    to += page_bytes * pages_for(static_cast<int>(tokens));
  };
  each(kept.coded.size(), kernels.store_compact, pool_->bytes_of(PageSize::kSmall));
  each(kept.exact.size(), kernels.store(ends), pool_->bytes_of(size_of_ends(ends)));
}

std::vector<int> SequenceKv::biased(const std::vector<KeptTokens>& kept) const {
  std::vector<int> out;
  for (std::size_t t = 0; t < kept.size(); ++t) {
    const int count = static_cast<int>(kept[t].size());
    out.push_back(is_local(t) || count == tokens_ ? 0 : count);
  }
  return out;
}

void SequenceKv::match(std::size_t table, const SummaryRequest& request,
                       const kernels::AttentionKernels& kernels, kernels::Scratch& scratch, Kept& vectors,
                       KeptBiases& to) const {
  const std::span<std::int8_t> biases = to.steps(table);
  if (biases.empty()) return;
  const std::vector<float> rows = rows_for(*request.queries, table, shape_.kv_heads, kMatchRows);
  static_assert(sizeof(PageId) == sizeof(std::uint32_t));
  const kernels::HeadPages pages{pool_->base(), pool_->unit_bytes(), &tables_[table].data()->value};
  const Seen whole = see(pages, tokens_, rows, shape_.head_dim, kernels, scratch);
  MatchFit(shape_.head_dim).fit(rows, whole, vectors.keys, vectors.values, biases);
}

void SequenceKv::sum_up(std::size_t table, const KeptTokens& kept, const SummaryRequest& request,
                        SummaryFit& fit, Summaries& to) const {
  if (is_local(table)) return;
  std::vector<bool> stays(static_cast<std::size_t>(tokens_));
  for (const auto* part : {&kept.coded, &kept.exact}) {
    for (const std::int32_t token : *part) stays[static_cast<std::size_t>(token)] = true;
  }
  fit.begin();
  float key[kernels::kHeadDimMax];
  float value[kernels::kHeadDimMax];
  for (int token = 0; token < tokens_; ++token) {
    const PageId page = tables_[table][static_cast<std::size_t>(token / kernels::kPageTokens)];
    fit.kernels().load_f16(pool_->data(page), shape_.head_dim, token % kernels::kPageTokens, key, value);
    fit.add(key, value, stays[static_cast<std::size_t>(token)]);
  }
  fit.finish(request, table, shape_.kv_heads, to);
}

base::Status SequenceKv::compress(const std::vector<KeptTokens>& kept, kernels::PageCodec ends,
                                  const kernels::AttentionKernels& kernels, int threads,
                                  const SummaryRequest& to_sum_up) {
  CHECK(!compact() && holder_ == Holder::kRequest && ends != kernels::PageCodec::kCompact);
  check_kept(kept);
  const std::size_t small = pool_->bytes_of(PageSize::kSmall);
  const std::size_t of_ends = pool_->bytes_of(size_of_ends(ends));
  std::size_t coded_pages = 0;
  std::size_t exact_pages = 0;
  std::vector<std::size_t> begin{0};  // of each table's bytes
  for (const KeptTokens& each : kept) {
    const std::size_t coded = pages_for(static_cast<int>(each.coded.size()));
    const std::size_t exact = pages_for(static_cast<int>(each.exact.size()));
    CHECK(coded == 0 || ends == kernels::PageCodec::kBytes);
    coded_pages += coded;
    exact_pages += exact;
    begin.push_back(begin.back() + coded * small + exact * of_ends);
  }
  // Coded beside the exact pages and moved in afterwards: when those are this sequence's own, their release
  // makes the room, so that a full pool can be compressed.
  const std::size_t freed =
      static_cast<std::size_t>(private_bytes()) / pool_->bytes_of(PageSize::kLarge) + pool_->pages_free();
  const auto large_pages = [](std::size_t pages, PageSize size) {
    const std::size_t each = PagePool::kLargeUnits / PagePool::units_of(size);
    return (pages + each - 1) / each;
  };
  if (large_pages(exact_pages, size_of_ends(ends)) + large_pages(coded_pages, PageSize::kSmall) > freed) {
    return base::Error{base::Code::kUnavailable, "the KV page pool has no room for the compressed pages"};
  }
  std::vector<std::byte> bytes(begin.back());
  const bool matched = to_sum_up.queries != nullptr && to_sum_up.match;
  const bool summed_up = to_sum_up.queries != nullptr && !matched;
  auto summaries = summed_up ? std::make_shared<Summaries>(kept.size(), shape_.head_dim) : nullptr;
  auto biases = matched ? std::make_shared<KeptBiases>(biased(kept)) : nullptr;
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    std::optional<SummaryFit> fit;
    if (summed_up) fit.emplace(kernels, shape_.head_dim, ends == kernels::PageCodec::kBytes);
    const auto scratch = matched ? std::make_unique<kernels::Scratch>() : nullptr;
    for (std::size_t t = next++; t < kept.size(); t = next++) {
      Kept vectors = load(t, kept[t], kernels);
      if (matched) match(t, to_sum_up, kernels, *scratch, vectors, *biases);
      code(vectors, kept[t], ends, kernels, bytes.data() + begin[t]);
      if (fit) sum_up(t, kept[t], to_sum_up, *fit, *summaries);
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (int i = 1; i < threads; ++i) helpers.emplace_back(work);
    work();
  }
  for (auto& table : tables_) {
    for (const PageId page : table) release(page);
    table.clear();
  }
  compressed_tokens_ = tokens_;
  summaries_ = std::move(summaries);
  biases_ = std::move(biases);
  dropped_pages_ = 0;
  ends_ = ends;
  for (std::size_t t = 0; t < kept.size(); ++t) {
    kept_.push_back(static_cast<int>(kept[t].size()));
    coded_.push_back(static_cast<int>(pages_for(static_cast<int>(kept[t].coded.size()))));
    longest_kept_ = std::max(longest_kept_, kept_.back());
    const std::byte* from = bytes.data() + begin[t];
    for (std::size_t i = 0; from < bytes.data() + begin[t + 1]; ++i) {
      const auto page = pool_->allocate(size_of(t, i));
      CHECK(page.has_value());  // counted above
      std::memcpy(pool_->data(*page), from, page_bytes(t, i));
      from += page_bytes(t, i);
      tables_[t].push_back(*page);
    }
  }
  return {};
}

std::int64_t SequenceKv::slots() const {
  std::int64_t total = 0;
  for (std::size_t t = 0; t < tables_.size(); ++t)
    total += slot_of(t, tokens_) - (is_local(t) ? dropped_pages_ * kernels::kPageTokens : 0);
  return total;
}

std::size_t SequenceKv::pages_of(std::size_t table) const {
  return tables_[table].size() - static_cast<std::size_t>(is_local(table) ? dropped_pages_ : 0);
}

std::size_t SequenceKv::pages() const {
  std::size_t total = 0;
  for (std::size_t t = 0; t < tables_.size(); ++t) total += pages_of(t);
  return total;
}

std::int64_t SequenceKv::bytes() const {
  std::int64_t total = 0;
  for (std::size_t t = 0; t < tables_.size(); ++t) total += bytes_of(t, tables_[t].size());
  return total;
}

std::int64_t SequenceKv::bytes(LayerId layer, KvHeadId head) const {
  const std::size_t table = index(layer, head);
  return bytes_of(table, tables_[table].size());
}

std::int64_t SequenceKv::full_bytes() const {
  std::int64_t total = 0;
  for (std::size_t t = 0; t < tables_.size(); ++t)
    total += bytes_of(t, static_cast<std::size_t>(slot_of(t, tokens_) / kernels::kPageTokens));
  return total;
}

std::int64_t SequenceKv::private_bytes() const {
  std::size_t total = 0;
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    for (std::size_t i = 0; i < tables_[t].size(); ++i) {
      const PageId page = tables_[t][i];
      if (page != kNoPage && pool_->references(page) == 1) total += page_bytes(t, i);
    }
  }
  return static_cast<std::int64_t>(total);
}

/// Bytes of the table's first `pages` pages, save the dropped ones.
std::int64_t SequenceKv::bytes_of(std::size_t table, std::size_t pages) const {
  std::size_t total = 0;
  for (std::size_t i = 0; i < pages; ++i) total += tables_[table][i] == kNoPage ? 0 : page_bytes(table, i);
  return static_cast<std::int64_t>(total);
}

}  // namespace pmt::kv_cache
