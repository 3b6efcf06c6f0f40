#include "kv_cache/sequence_kv.h"

#include <cstring>
#include <utility>

#include "base/check.h"
#include "kernels/page_layout.h"

namespace pmt::kv_cache {
namespace {

std::size_t pages_for(int tokens) {
  return static_cast<std::size_t>((tokens + kernels::kPageTokens - 1) / kernels::kPageTokens);
}

}  // namespace

SequenceKv::SequenceKv(PagePool& pool, KvShape shape)
    : pool_(&pool), shape_(shape), tables_(static_cast<std::size_t>(shape.layers * shape.kv_heads)) {}

SequenceKv::SequenceKv(SequenceKv&& other) noexcept
    : pool_(other.pool_),
      shape_(other.shape_),
      tokens_(std::exchange(other.tokens_, 0)),
      tables_(std::exchange(other.tables_, {})) {}

SequenceKv& SequenceKv::operator=(SequenceKv&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(shape_, other.shape_);
  std::swap(tokens_, other.tokens_);
  std::swap(tables_, other.tables_);
  return *this;
}

bool SequenceKv::last_page_is_shared() const {
  if (tokens_ % kernels::kPageTokens == 0) return false;  // the next token starts a page of its own
  // Forks share all tables alike, so the first one speaks for all.
  return pool_->references(tables_[0][pages_for(tokens_) - 1]) > 1;
}

std::size_t SequenceKv::pages_needed(int tokens) const {
  const std::size_t want = pages_for(tokens_ + tokens);
  const std::size_t fresh = want > tables_[0].size() ? want - tables_[0].size() : 0;
  return tables_.size() * (fresh + (tokens > 0 && last_page_is_shared() ? 1 : 0));
}

base::Status SequenceKv::reserve(int tokens) {
  CHECK(tokens >= 0);
  if (pages_needed(tokens) > pool_->pages_free()) {
    return base::Error{base::Code::kUnavailable,
                       "the KV page pool has no room for this sequence's next tokens"};
  }
  const bool copy_last = tokens > 0 && last_page_is_shared();
  const std::size_t want = pages_for(tokens_ + tokens);
  for (auto& pages : tables_) {
    if (copy_last) {
      PageId& last = pages[pages_for(tokens_) - 1];
      TRY_ASSIGN(const PageId copy, pool_->allocate());
      std::memcpy(pool_->data(copy), pool_->data(last), pool_->page_bytes());
      pool_->release(std::exchange(last, copy));
    }
    while (pages.size() < want) {
      TRY_ASSIGN(const PageId page, pool_->allocate());
      pages.push_back(page);
    }
  }
  return {};
}

void SequenceKv::commit(int tokens) {
  tokens_ += tokens;
  CHECK(pages_for(tokens_) <= tables_[0].size());
}

void SequenceKv::truncate(int tokens) {
  const std::size_t keep = pages_for(tokens);
  for (auto& pages : tables_) {
    while (pages.size() > keep) {
      pool_->release(pages.back());
      pages.pop_back();
    }
  }
  tokens_ = tables_.empty() ? 0 : tokens;
}

SequenceKv SequenceKv::fork() const {
  SequenceKv copy(*pool_, shape_);
  copy.tokens_ = tokens_;
  copy.tables_ = tables_;
  // Pages that were reserved past the committed tokens belong to this sequence alone.
  const std::size_t committed = pages_for(tokens_);
  for (auto& pages : copy.tables_) {
    pages.resize(committed);
    for (const PageId page : pages) pool_->add_reference(page);
  }
  return copy;
}

std::size_t SequenceKv::pages() const {
  std::size_t total = 0;
  for (const auto& pages : tables_) total += pages.size();
  return total;
}

std::size_t SequenceKv::private_pages() const {
  std::size_t total = 0;
  for (const auto& pages : tables_) {
    for (const PageId page : pages) total += pool_->references(page) == 1 ? 1 : 0;
  }
  return total;
}

}  // namespace pmt::kv_cache
