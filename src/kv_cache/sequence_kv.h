// The keys and values of one sequence: a block table per (layer, KV head) into the page pool.
//
// A sequence begins exact: every table is equally long and slot i of a table holds token i. compress() makes
// it compact: each table keeps its own choice of tokens, first those in coded pages, all full, then those in
// the ends, exact or a byte an element, where tokens that come later are appended (notes 0009, 0017). Tables
// of a compact sequence differ in length; the token at position p >= compressed_tokens() lies in slot kept +
// p - compressed_tokens(). Keys carry their original positions (RoPE), so a slot's number means nothing to
// attention.
//
// Local layers (a sliding window) keep the same slots, but drop_unseen() gives back the pages at the front
// that no later query sees; a compact sequence keeps of such a layer the last tokens only, without gaps.
//
// Pages are shared between forks and copied when one of them writes (copy-on-write).
// Thread-safety: one owner thread changes it; kernels read page_ids() while nobody changes it.
// Errors: reserve and compress say kUnavailable when the pool is full, and leave the sequence as it was.
// Cost: 4 B a page and table; a fork costs the tables and no page.
#pragma once

#include <algorithm>
#include <bitset>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "kernels/attention.h"
#include "kernels/page_layout.h"
#include "kv_cache/attention_match.h"
#include "kv_cache/evicted_summary.h"
#include "kv_cache/page_pool.h"

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

/// What one table keeps of a sequence: tokens, ascending in each part, none twice, at least one in `exact`.
struct KeptTokens {
  std::vector<std::int32_t> coded;  // in compact pages: a multiple of kPageTokens
  std::vector<std::int32_t> exact;
  std::size_t size() const { return coded.size() + exact.size(); }
};

inline constexpr PageId kNoPage(0xffffffffU);

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
  /// compress() saw, and what the dropped pages allow.
  int tokens_min() const;
  /// Empty and exact again.
  void clear();

  /// Makes an exact sequence compact: table t keeps kept[t] (of a local layer the last tokens, the coded ones
  /// before the exact, as many in every such table, at most the window), and the pages that it had are
  /// released. The pages of kept[t].exact and of all later tokens are `ends`: kF16, or kBytes, which coded
  /// pages require. What each table evicts, save in local layers, is made up for as `to_sum_up` says (note
  /// 0018). The same bytes with any `threads`. Errors: kUnavailable, and nothing has changed. Cost: 70 us a
  /// coded token of 90 tables of 64 dimensions, on two threads (bench decode); the summaries read every page
  /// once for each 48 query rows.
  base::Status compress(const std::vector<KeptTokens>& kept, kernels::PageCodec ends,
                        const kernels::AttentionKernels& kernels, int threads = 1,
                        const SummaryRequest& to_sum_up = {});
  bool compact() const { return !kept_.empty(); }
  /// Tokens that compress() saw; 0 for an exact sequence.
  int compressed_tokens() const { return compressed_tokens_; }

  /// Another sequence with the same tokens, sharing every page. A prefix's can't be written to: fork it
  /// again.
  SequenceKv fork(Holder holder = Holder::kRequest) const;

  int tokens() const { return tokens_; }
  /// Room that drop_unseen() leaves for a later truncation.
  static constexpr int kTruncatedMax = 32;
  /// An upper bound on the pages that a sequence of `tokens` holds when drop_unseen() follows every step of
  /// at most `step_tokens`.
  static std::size_t pages_at_most(const KvShape& shape, int tokens, int step_tokens);
  /// The same of one local table.
  static std::size_t local_pages_at_most(const KvShape& shape, int tokens, int step_tokens);

  /// Where the table holds the token at `position` (for a compact sequence: one that came after compress()).
  int slot(LayerId layer, KvHeadId head, int position) const { return slot_of(index(layer, head), position); }
  /// Slots up to and with that token's in the longest table.
  int longest(int position) const { return longest_kept_ + position - compressed_tokens_ + 1; }
  /// Token slots in use over all tables, and what an exact sequence would use.
  std::int64_t slots() const;
  /// Of the pages that new tokens go to.
  kernels::PageCodec ends() const { return ends_; }
  /// Leading pages of the table that are compact.
  int coded_pages(LayerId layer, KvHeadId head) const { return coded_in(index(layer, head)); }
  /// An upper bound on the pool's large pages that reserve(tokens) takes.
  std::size_t pages_needed(int tokens) const;
  /// The table's pages, in token order; kNoPage where drop_unseen() freed one.
  const PageId* page_ids(LayerId layer, KvHeadId head) const { return tables_[index(layer, head)].data(); }
  std::size_t pages() const;
  const std::vector<std::vector<PageId>>& tables() const { return tables_; }
  std::uint32_t references(PageId page) const { return pool_->references(page); }
  /// Bytes of page `page` of a table.
  std::size_t page_bytes(std::size_t table, std::size_t page) const {
    return pool_->bytes_of(size_of(table, page));
  }
  std::int64_t bytes() const;
  std::int64_t bytes(LayerId layer, KvHeadId head) const;
  /// Of the summaries or biases, which lie beside the pages and are shared by forks.
  std::int64_t summary_bytes() const {
    return (summaries_ ? summaries_->bytes() : 0) + (biases_ ? biases_->bytes() : 0);
  }
  /// Pages and summaries.
  std::int64_t held_bytes() const { return bytes() + summary_bytes(); }
  /// What stands for the table's evicted tokens.
  kernels::Summary summary(LayerId layer, KvHeadId head) const {
    return summaries_ ? summaries_->of(index(layer, head)) : kernels::Summary{};
  }
  /// Of the table's kept tokens.
  kernels::Biases biases(LayerId layer, KvHeadId head) const {
    return biases_ ? biases_->of(index(layer, head)) : kernels::Biases{};
  }
  /// Bytes in pages that have no room left, which forks therefore go on sharing; without local layers, whose
  /// pages go when they are out of sight.
  std::int64_t full_bytes() const;
  /// Bytes in pages that no fork shares: what clear() would give back to the pool.
  std::int64_t private_bytes() const;
  const KvShape& shape() const { return shape_; }

 private:
  std::size_t index(LayerId layer, KvHeadId head) const {
    return layer.value * static_cast<std::uint32_t>(shape_.kv_heads) + head.value;
  }
  int slot_of(std::size_t table, int position) const {
    return compact() ? kept_[table] + position - compressed_tokens_ : position;
  }
  std::size_t pages_of(std::size_t table) const;
  std::int64_t bytes_of(std::size_t table, std::size_t pages) const;
  PageSize size_of(std::size_t table, std::size_t page) const {
    return static_cast<int>(page) < coded_in(table) ? PageSize::kSmall : ends_size();
  }
  static PageSize size_of_ends(kernels::PageCodec ends) {
    return ends == kernels::PageCodec::kBytes ? PageSize::kHalf : PageSize::kLarge;
  }
  PageSize ends_size() const { return size_of_ends(ends_); }
  int coded_in(std::size_t table) const { return coded_.empty() ? 0 : coded_[table]; }
  void check_kept(const std::vector<KeptTokens>& kept) const;
  /// Keys and values of one table's kept tokens, in slot order.
  struct Kept {
    std::vector<float> keys, values;  // [kept, head_dim]
  };
  Kept load(std::size_t table, const KeptTokens& kept, const kernels::AttentionKernels& kernels) const;
  /// Those as pages, written to `to`.
  void code(const Kept& vectors, const KeptTokens& kept, kernels::PageCodec ends,
            const kernels::AttentionKernels& kernels, std::byte* to) const;
  /// Tokens of each table that get a bias: all, or none where later queries miss nothing.
  std::vector<int> biased(const std::vector<KeptTokens>& kept) const;
  /// Fits biases, and the values, to the request's queries.
  void match(std::size_t table, const SummaryRequest& request, const kernels::AttentionKernels& kernels,
             kernels::Scratch& scratch, Kept& vectors, KeptBiases& to) const;
  /// Fits the table's summary to the request's queries.
  void sum_up(std::size_t table, const KeptTokens& kept, const SummaryRequest& request, SummaryFit& fit,
              Summaries& to) const;
  bool last_page_is_shared(std::size_t table) const;
  bool is_local(std::size_t table) const {
    return shape_.window > 0 && shape_.local[table / static_cast<std::size_t>(shape_.kv_heads)];
  }
  void release(PageId page) {
    if (page != kNoPage) pool_->release(page, holder_);
  }

  PagePool* pool_;
  KvShape shape_;
  Holder holder_ = Holder::kRequest;
  int tokens_ = 0;
  int compressed_tokens_ = 0;
  int longest_kept_ = 0;
  int dropped_pages_ = 0;  // at the front of every local table
  kernels::PageCodec ends_ = kernels::PageCodec::kF16;
  std::vector<int> kept_;                       // [layers * kv_heads], empty: exact
  std::vector<int> coded_;                      // [layers * kv_heads] pages, empty: exact
  std::shared_ptr<const Summaries> summaries_;  // shared by forks
  std::shared_ptr<const KeptBiases> biases_;    // likewise
  std::vector<std::vector<PageId>> tables_;     // [layers * kv_heads]
};

}  // namespace pmt::kv_cache
