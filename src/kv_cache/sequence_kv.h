// The keys and values of one sequence: a block table per (layer, KV head) into the page pool.
//
// A sequence begins exact: every table is equally long and slot i of a table holds token i. adopt() makes it
// compact: each table keeps its own choice of tokens, first those in compact pages, all full, then those in the
// tail pages, exact or a byte an element, where tokens that come later are appended (notes 0009, 0017). Tables
// of a compact sequence differ in length; the token at position p >= compressed_tokens() lies in slot kept +
// p - compressed_tokens(). Keys carry their original positions (RoPE), so a slot's number means nothing to
// attention.
//
// A compact sequence grows in tail pages. compact_tail() takes the oldest of those tokens out of them, past the ends that
// always stay there, and puts full compact pages with what is kept of them behind the table's other compact ones (note
// 0050). compressed_tokens() grows by as many, so that the rule above goes on to hold.
//
// Local layers (a sliding window) keep the same slots, but drop_unseen() gives back the pages at the front
// that no later query sees; a compact sequence keeps of such a layer the last tokens only, without gaps.
//
// Pages are shared between forks and copied when one of them writes (copy-on-write).
// Thread-safety: one owner thread changes it; kernels read table() while nobody changes it.
// Errors: reserve and adopt say kUnavailable when the pool is full, and leave the sequence as it was.
// Cost: 4 B a page and table; a fork costs the tables and no page.
#pragma once

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "kernels/attention.h"
#include "kernels/page_layout.h"
#include "kv_cache/page_pool.h"
#include "kv_cache/reference_queries.h"
#include "kv_cache/side_tables.h"

namespace pmt::kv_cache {

/// Of models with local layers.
inline constexpr std::size_t kLayersMax = 256;

struct KvShape {
  int layers = 0;
  int kv_heads = 0;
  int head_dim = 0;
  /// A local layer's query sees the last `window` tokens, itself included. 0: no layer is local.
  int window = 0;
  std::bitset<kLayersMax> local = {};

  std::size_t tables() const { return static_cast<std::size_t>(layers * kv_heads); }
  LayerId layer_of(std::size_t table) const {
    return LayerId(static_cast<std::uint32_t>(table / static_cast<std::size_t>(kv_heads)));
  }
  KvHeadId head_of(std::size_t table) const {
    return KvHeadId(static_cast<std::uint32_t>(table % static_cast<std::size_t>(kv_heads)));
  }
  bool is_local(std::size_t table) const { return window > 0 && local[layer_of(table).value]; }
  int window_of(LayerId layer) const { return window > 0 && local[layer.value] ? window : 0; }
  int local_layers() const { return window > 0 ? static_cast<int>(local.count()) : 0; }
  /// f16 keys and values of one token, over all layers and heads.
  std::int64_t token_bytes_f16() const { return std::int64_t{4} * layers * kv_heads * head_dim; }
  /// The same of all that a query after `tokens` tokens may see: what "ratio" divides.
  std::int64_t bytes_f16(std::int64_t tokens) const {
    const std::int64_t layer_tokens =
        (layers - local_layers()) * tokens + local_layers() * std::min<std::int64_t>(tokens, window);
    return std::int64_t{4} * layer_tokens * kv_heads * head_dim;
  }
};

inline constexpr PageId kNoPage(0xffffffffU);

/// What a compact sequence consists of, made elsewhere from an exact one.
struct CompactTables {
  struct Table {
    int kept = 0;           // tokens
    int compact_pages = 0;  // full ones, before the tail pages that hold the rest
  };
  int tokens = 0;  // of the exact sequence
  int recent =
      0;  // of every table's tail that isn't local, at its end: tokens without gaps, for compact_tail()
  kernels::PageCodec tail = kernels::PageCodec::kF16;  // kF16, or kBytes, which compact pages require
  std::vector<Table> tables = {};                      // [layers * kv_heads]
  std::vector<std::byte> pages = {};                   // table by table: compact ones, then tail pages
  std::shared_ptr<const Summaries> summaries = {};     // or null
  std::shared_ptr<const KeptBiases> biases = {};       // likewise
};

/// What takes the place of the oldest recent tokens of a compact sequence, made elsewhere.
struct CompactedTail {
  int tokens = 0;                       // that leave every table's tail that isn't local: whole pages' worth
  std::vector<int> compact_pages = {};  // [layers * kv_heads], full ones; none of a local table
  std::vector<std::byte> pages = {};    // table by table
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
  /// Forgets every token from `tokens` on and frees the pages past it. Requires: tokens >= tokens_min(), or 0
  /// for an exact sequence.
  void truncate(int tokens);
  /// Frees the pages of local layers that no query sees any more, save for what a truncation by
  /// kTruncatedMax tokens brings back into sight.
  void drop_unseen();
  /// The fewest tokens that truncate() can go back to, apart from an exact sequence's beginning: what
  /// adopt() saw, and what the dropped pages allow.
  int tokens_min() const;
  /// Empty and exact again.
  void clear();

  /// Makes an exact sequence the compact one that was made of it; the pages that it had are released. Every local
  /// table keeps as many tokens, at most the window. Errors: kUnavailable, and nothing has changed.
  base::Status adopt(const CompactTables& made);
  bool compact() const { return !kept_.empty(); }
  /// Puts `made` in the place of the oldest of recent(). Requires: compact with tail pages of bytes, and at least a page's
  /// worth of recent tokens besides. Errors: kUnavailable, and nothing has changed.
  base::Status compact_tail(const CompactedTail& made);
  /// Of a compact sequence: its last tokens that lie one after the other in tail pages. Those of the tail before them,
  /// its ends, stay there.
  int recent() const { return compact() ? recent_kept_ + tokens_ - compressed_tokens_ : 0; }
  /// Where the first of recent() lies in a compact sequence's table, from the table's first tail page on.
  int tail_ends(std::size_t table) const {
    return kept_[table] - compact_pages_[table] * kernels::kPageTokens - recent_kept_;
  }
  /// Tokens that adopt() and compact_tail() saw; 0 for an exact sequence.
  int compressed_tokens() const { return compressed_tokens_; }

  /// Another sequence with the same tokens, sharing every page. A prefix's can't be written to: fork it
  /// again.
  SequenceKv fork(Holder holder = Holder::kRequest) const;

  /// Of an exact sequence: the pages that hold the tokens [first, first + tokens), table by table; none where
  /// drop_unseen() freed one. They stay as they are as long as a fork holds them. Requires: whole pages of its tokens.
  std::vector<std::span<const std::byte>> exact_pages(int first, int tokens) const;
  /// Goes on with tokens that another sequence read: `pages` are what exact_pages() gave there, one after the other.
  /// Requires: exact, and whole pages on either side. Errors: kCorrupt, they are of another shape; as reserve's.
  base::Status append(std::span<const std::byte> pages, int tokens);

  int tokens() const { return tokens_; }
  const KvShape& shape() const { return shape_; }
  /// Room that drop_unseen() leaves for a later truncation.
  static constexpr int kTruncatedMax = 32;

  /// Where the table holds the token at `position` (for a compact sequence: one that came after adopt()).
  int slot(LayerId layer, KvHeadId head, int position) const { return slot_of(index(layer, head), position); }
  /// Slots up to and with that token's in the longest table.
  int longest(int position) const { return longest_kept_ + position - compressed_tokens_ + 1; }
  /// Token slots in use over all tables.
  std::int64_t slots() const;
  /// Of the pages that new tokens go to.
  kernels::PageCodec tail() const { return tail_; }
  /// An upper bound on the pool's large pages that reserve(tokens) takes.
  std::size_t pages_needed(int tokens) const;

  /// One table as kernels read it. Valid until the sequence changes.
  struct Table {
    std::span<const PageId> pages;  // in token order; kNoPage where drop_unseen() freed one
    int compact_pages = 0;          // of those, at the front
    kernels::Summary summary;       // for its evicted tokens
    kernels::Biases biases;         // of its kept tokens
  };
  Table table(LayerId layer, KvHeadId head) const;

  /// What it holds, in bytes.
  struct Held {
    std::int64_t pages = 0;
    std::int64_t side_tables = 0;  // summaries or biases, which forks share
    std::int64_t full = 0;  // in pages with no room left, which forks go on sharing (without local layers)
    std::int64_t own = 0;   // in pages that no fork shares: what clear() would give back to the pool
    std::size_t page_count = 0;
    std::int64_t total() const { return pages + side_tables; }
  };
  /// Cost: walks the tables.
  Held held() const;
  /// In one table's pages.
  std::int64_t bytes(LayerId layer, KvHeadId head) const;

 private:
  std::size_t index(LayerId layer, KvHeadId head) const {
    return layer.value * static_cast<std::uint32_t>(shape_.kv_heads) + head.value;
  }
  int slot_of(std::size_t table, int position) const {
    return compact() ? kept_[table] + position - compressed_tokens_ : position;
  }
  std::int64_t bytes_of(std::size_t table, std::size_t pages) const;
  std::size_t page_bytes(std::size_t table, std::size_t page) const {
    return pool_->bytes_of(size_of(table, page));
  }
  PageSize size_of(std::size_t table, std::size_t page) const {
    return static_cast<int>(page) < compact_in(table) ? PageSize::kSmall : size_of_tail(tail_);
  }
  static PageSize size_of_tail(kernels::PageCodec tail) {
    return tail == kernels::PageCodec::kBytes ? PageSize::kHalf : PageSize::kLarge;
  }
  int compact_in(std::size_t table) const { return compact_pages_.empty() ? 0 : compact_pages_[table]; }
  void check(const CompactTables& made) const;
  void check(const CompactedTail& made) const;
  bool has_room_for(const CompactedTail& made) const;
  std::size_t take_from_tail(std::size_t table, int tokens);
  std::shared_ptr<const KeptBiases> biases_with(const CompactedTail& made) const;
  bool has_room_for(const CompactTables& made) const;
  void write(const CompactTables& made);
  void release_pages();
  bool last_page_is_shared(std::size_t table) const;
  void release(PageId page) {
    if (page != kNoPage) pool_->release(page, holder_);
  }

  PagePool* pool_;
  KvShape shape_;
  Holder holder_ = Holder::kRequest;
  int tokens_ = 0;
  int compressed_tokens_ = 0;
  int longest_kept_ = 0;
  int recent_kept_ = 0;    // of kept_, at their end: tokens that recent() counts
  int dropped_pages_ = 0;  // at the front of every local table
  kernels::PageCodec tail_ = kernels::PageCodec::kF16;
  std::vector<int> kept_;                       // [layers * kv_heads], empty: exact
  std::vector<int> compact_pages_;              // [layers * kv_heads], empty: exact
  std::shared_ptr<const Summaries> summaries_;  // shared by forks
  std::shared_ptr<const KeptBiases> biases_;    // likewise
  std::vector<std::vector<PageId>> tables_;     // [layers * kv_heads]
};

}  // namespace pmt::kv_cache
