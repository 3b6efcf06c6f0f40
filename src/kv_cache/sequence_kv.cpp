#include "kv_cache/sequence_kv.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace pmt::kv_cache {
namespace {

std::size_t pages_for(int slots) {
  return static_cast<std::size_t>((slots + kernels::kPageTokens - 1) / kernels::kPageTokens);
}

}  // namespace

SequenceKv::SequenceKv(PagePool& pool, KvShape shape)
    : pool_(&pool), shape_(shape), tables_(shape.tables()) {}

SequenceKv::SequenceKv(SequenceKv&& other) noexcept
    : pool_(other.pool_),
      shape_(other.shape_),
      holder_(other.holder_),
      tokens_(std::exchange(other.tokens_, 0)),
      compressed_tokens_(std::exchange(other.compressed_tokens_, 0)),
      longest_kept_(std::exchange(other.longest_kept_, 0)),
      recent_kept_(std::exchange(other.recent_kept_, 0)),
      dropped_pages_(std::exchange(other.dropped_pages_, 0)),
      tail_(std::exchange(other.tail_, kernels::PageCodec::kF16)),
      kept_(std::exchange(other.kept_, {})),
      compact_pages_(std::exchange(other.compact_pages_, {})),
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
  std::swap(recent_kept_, other.recent_kept_);
  std::swap(dropped_pages_, other.dropped_pages_);
  std::swap(tail_, other.tail_);
  std::swap(kept_, other.kept_);
  std::swap(compact_pages_, other.compact_pages_);
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
  return size_of_tail(tail_) == PageSize::kLarge ? fresh : (fresh + 1) / 2;
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
      TRY_ASSIGN(const PageId copy, pool_->allocate(size_of_tail(tail_)));
      std::memcpy(pool_->data(copy), pool_->data(last), pool_->bytes_of(size_of_tail(tail_)));
      release(std::exchange(last, copy));
    }
    const std::size_t want = pages_for(slot_of(t, tokens_ + tokens));
    while (pages.size() < want) {
      TRY_ASSIGN(const PageId page, pool_->allocate(size_of_tail(tail_)));
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
    if (!shape_.is_local(t)) continue;
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
    if (!shape_.is_local(t)) continue;
    // The next query, at position p, sees the slots from slot_of(p) + 1 - window on.
    const int first = dropped_pages_ * kernels::kPageTokens;
    return std::max(compressed_tokens_, first + shape_.window - 1 - slot_of(t, 0));
  }
}

void SequenceKv::release_pages() {
  for (auto& pages : tables_) {
    for (const PageId page : pages) release(page);
    pages.clear();
  }
}

void SequenceKv::clear() {
  release_pages();
  kept_.clear();
  compact_pages_.clear();
  summaries_.reset();
  biases_.reset();
  tail_ = kernels::PageCodec::kF16;
  tokens_ = 0;
  compressed_tokens_ = 0;
  longest_kept_ = 0;
  recent_kept_ = 0;
  dropped_pages_ = 0;
}

SequenceKv SequenceKv::fork(Holder holder) const {
  SequenceKv copy(*pool_, shape_);
  copy.holder_ = holder;
  copy.tokens_ = tokens_;
  copy.compressed_tokens_ = compressed_tokens_;
  copy.longest_kept_ = longest_kept_;
  copy.recent_kept_ = recent_kept_;
  copy.dropped_pages_ = dropped_pages_;
  copy.tail_ = tail_;
  copy.kept_ = kept_;
  copy.compact_pages_ = compact_pages_;
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

void SequenceKv::check(const CompactTables& made) const {
  CHECK(!compact() && holder_ == Holder::kRequest && made.tokens == tokens_);
  CHECK(made.tail != kernels::PageCodec::kCompact && made.tables.size() == tables_.size());
  const CompactTables::Table* of_local = nullptr;
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    const CompactTables::Table& table = made.tables[t];
    CHECK(table.kept > table.compact_pages * kernels::kPageTokens && table.kept <= tokens_);
    CHECK(table.compact_pages == 0 || made.tail == kernels::PageCodec::kBytes);
    CHECK(shape_.is_local(t) || made.recent <= table.kept - table.compact_pages * kernels::kPageTokens);
    if (!shape_.is_local(t)) continue;
    CHECK(table.kept <= shape_.window);
    CHECK(of_local == nullptr ||
          (of_local->kept == table.kept && of_local->compact_pages == table.compact_pages));
    of_local = &table;
  }
}

/// What this sequence's own pages free makes the room, so that a full pool can be compressed.
bool SequenceKv::has_room_for(const CompactTables& made) const {
  std::size_t small = 0, tail = 0;
  for (const CompactTables::Table& table : made.tables) {
    small += static_cast<std::size_t>(table.compact_pages);
    tail += pages_for(table.kept - table.compact_pages * kernels::kPageTokens);
  }
  const std::size_t freed =
      static_cast<std::size_t>(held().own) / pool_->bytes_of(PageSize::kLarge) + pool_->pages_free();
  const auto large_pages = [](std::size_t pages, PageSize size) {
    const std::size_t each = PagePool::kLargeUnits / PagePool::units_of(size);
    return (pages + each - 1) / each;
  };
  return large_pages(tail, size_of_tail(made.tail)) + large_pages(small, PageSize::kSmall) <= freed;
}

/// Into pages that has_room_for() has counted.
void SequenceKv::write(const CompactTables& made) {
  const std::byte* from = made.pages.data();
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    const std::size_t count = pages_for(kept_[t]);
    for (std::size_t i = 0; i < count; ++i) {
      const auto page = pool_->allocate(size_of(t, i));
      CHECK(page.has_value());
      std::memcpy(pool_->data(*page), from, page_bytes(t, i));
      from += page_bytes(t, i);
      tables_[t].push_back(*page);
    }
  }
  CHECK(from == made.pages.data() + made.pages.size());
}

base::Status SequenceKv::adopt(const CompactTables& made) {
  check(made);
  if (!has_room_for(made))
    return base::Error{base::Code::kUnavailable, "the KV page pool has no room for the compressed pages"};
  release_pages();
  compressed_tokens_ = tokens_;
  recent_kept_ = made.recent;
  summaries_ = made.summaries;
  biases_ = made.biases;
  dropped_pages_ = 0;
  tail_ = made.tail;
  for (const CompactTables::Table& table : made.tables) {
    kept_.push_back(table.kept);
    compact_pages_.push_back(table.compact_pages);
    longest_kept_ = std::max(longest_kept_, table.kept);
  }
  write(made);
  return {};
}

std::vector<std::span<const std::byte>> SequenceKv::exact_pages(int first, int tokens) const {
  CHECK(!compact() && first % kernels::kPageTokens == 0 && tokens % kernels::kPageTokens == 0 &&
        first + tokens <= tokens_);
  std::vector<std::span<const std::byte>> out;
  for (const auto& pages : tables_) {
    for (std::size_t i = pages_for(first); i < pages_for(first + tokens); ++i) {
      if (pages[i] == kNoPage) return {};
      out.emplace_back(pool_->data(pages[i]), pool_->bytes_of(PageSize::kLarge));
    }
  }
  return out;
}

base::Status SequenceKv::append(std::span<const std::byte> pages, int tokens) {
  CHECK(!compact() && tokens_ % kernels::kPageTokens == 0 && tokens % kernels::kPageTokens == 0);
  const std::size_t bytes = pool_->bytes_of(PageSize::kLarge);
  if (pages.size() != tables_.size() * pages_for(tokens) * bytes)
    return base::Error{base::Code::kCorrupt, "these pages are of a sequence of another shape"};
  TRY(reserve(tokens));
  const std::byte* from = pages.data();
  for (const auto& table : tables_) {
    for (std::size_t i = pages_for(tokens_); i < pages_for(tokens_ + tokens); ++i, from += bytes)
      std::memcpy(pool_->data(table[i]), from, bytes);
  }
  commit(tokens);
  return {};
}

std::int64_t SequenceKv::slots() const {
  std::int64_t total = 0;
  for (std::size_t t = 0; t < tables_.size(); ++t)
    total += slot_of(t, tokens_) - (shape_.is_local(t) ? dropped_pages_ * kernels::kPageTokens : 0);
  return total;
}

SequenceKv::Table SequenceKv::table(LayerId layer, KvHeadId head) const {
  const std::size_t t = index(layer, head);
  return {tables_[t], compact_in(t), summaries_ ? summaries_->of(t) : kernels::Summary{},
          biases_ ? biases_->of(t) : kernels::Biases{}};
}

SequenceKv::Held SequenceKv::held() const {
  Held out;
  out.side_tables = (summaries_ ? summaries_->bytes() : 0) + (biases_ ? biases_->bytes() : 0);
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    out.full += bytes_of(t, static_cast<std::size_t>(slot_of(t, tokens_) / kernels::kPageTokens));
    for (std::size_t i = 0; i < tables_[t].size(); ++i) {
      const PageId page = tables_[t][i];
      if (page == kNoPage) continue;
      const auto bytes = static_cast<std::int64_t>(page_bytes(t, i));
      ++out.page_count;
      out.pages += bytes;
      out.own += pool_->references(page) == 1 ? bytes : 0;
    }
  }
  return out;
}

std::int64_t SequenceKv::bytes(LayerId layer, KvHeadId head) const {
  const std::size_t table = index(layer, head);
  return bytes_of(table, tables_[table].size());
}

/// Bytes of the table's first `pages` pages, save the dropped ones.
std::int64_t SequenceKv::bytes_of(std::size_t table, std::size_t pages) const {
  std::size_t total = 0;
  for (std::size_t i = 0; i < pages; ++i) total += tables_[table][i] == kNoPage ? 0 : page_bytes(table, i);
  return static_cast<std::int64_t>(total);
}

}  // namespace pmt::kv_cache
