// The keys and values of one sequence: a block table per (layer, KV head) into the page pool.
//
// Tables are separate per head because compression will make heads differ in length; in exact mode every
// table is equally long. Pages are shared between forks and copied when one of them writes (copy-on-write).
// Thread-safety: one owner thread changes it; kernels read page_ids() while nobody changes it.
// Errors: reserve says kUnavailable when the pool is full, and leaves the sequence as it was.
// Cost: 4 B a page and table; a fork costs the tables and no page.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "kv_cache/page_pool.h"

namespace pmt::kv_cache {

using LayerId = base::Id<struct LayerTag>;
using KvHeadId = base::Id<struct KvHeadTag>;

struct KvShape {
  int layers = 0;
  int kv_heads = 0;
  int head_dim = 0;
  /// f16 keys and values of one token, over all layers and heads: what "ratio" divides.
  std::int64_t token_bytes_f16() const { return std::int64_t{4} * layers * kv_heads * head_dim; }
};

class SequenceKv {
 public:
  SequenceKv(PagePool& pool, KvShape shape);
  ~SequenceKv() { clear(); }
  SequenceKv(SequenceKv&& other) noexcept;
  SequenceKv& operator=(SequenceKv&& other) noexcept;

  /// Makes room for `tokens` more: new pages for every table, and a private copy of a shared last page.
  base::Status reserve(int tokens);
  /// The reserved tokens have been written by the append kernel: they now count.
  void commit(int tokens);
  /// Forgets every token from `tokens` on and frees the pages past it.
  void truncate(int tokens);
  void clear() { truncate(0); }

  /// Another sequence with the same tokens, sharing every page.
  SequenceKv fork() const;

  int tokens() const { return tokens_; }
  /// Pages that reserve(tokens) would take from the pool.
  std::size_t pages_needed(int tokens) const;
  /// The table's pages, in token order.
  const PageId* page_ids(LayerId layer, KvHeadId head) const { return table(layer, head).data(); }
  std::size_t pages() const;
  /// Pages that no fork shares: what clear() would give back to the pool.
  std::size_t private_pages() const;
  std::int64_t bytes() const { return static_cast<std::int64_t>(pages() * pool_->page_bytes()); }
  const KvShape& shape() const { return shape_; }

 private:
  std::vector<PageId>& table(LayerId layer, KvHeadId head) {
    return tables_[layer.value * static_cast<std::uint32_t>(shape_.kv_heads) + head.value];
  }
  const std::vector<PageId>& table(LayerId layer, KvHeadId head) const {
    return tables_[layer.value * static_cast<std::uint32_t>(shape_.kv_heads) + head.value];
  }
  bool last_page_is_shared() const;

  PagePool* pool_;
  KvShape shape_;
  int tokens_ = 0;
  std::vector<std::vector<PageId>> tables_;  // [layers * kv_heads]
};

}  // namespace pmt::kv_cache
