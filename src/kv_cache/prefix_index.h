// Prompts that were read before, so that a request that begins alike needn't read them again (note 0006).
//
// An entry holds a fork of a sequence: its pages are shared, and copied when a request writes to one. An
// exact entry serves any common prefix; a compact one only requests that share all tokens that its
// compression saw, since its pages are what one eviction left of one prompt.
//
// Entries of one PrefixKey are a radix tree over their tokens: an edge is a run of tokens, and every subtree
// knows the fewest tokens that one of its entries must share. Different keys share nothing, ever: an exact
// request never gets a lossy page, and no tenant another's, whatever the tokens.
//
// Entries beyond `bytes_max` go, the least recently used first; the scheduler drops more when it needs room.
// Thread-safety: one owner thread. Errors: none.
// Cost: find walks the tokens that match; insert the tokens and the sequence's own pages; what prefixes hold
// is a counter of the pool's. An edge's tokens are kept (4 B each), those that entries share once. Guessed scores
// (4 B a token and table, 2% of its pages) don't count.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kv_cache/attention_plan.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::kv_cache {

/// What must be equal, beside the tokens, for one request to use what another has read.
struct PrefixKey {
  std::string scope;  // opaque: tenant, knowledge packs and their versions; whatever changes keys or values
  double ratio = 1;   // of the compression; 1: exact
  auto operator<=>(const PrefixKey&) const = default;
};

/// The scores that were guessed while the first `tokens` of an exact prefix were read, so that a request which is to
/// be compressed can go on from it. Immutable, shared.
struct GuessedScores {
  ScoreBuffer scores;
  int tokens = 0;
};
using Guessed = std::shared_ptr<const GuessedScores>;

class PrefixIndex {
 public:
  /// Shorter prefixes are read again faster than they are worth keeping.
  static constexpr int kTokensMin = 64;

  /// `pool`: where the sequences' pages are; outlives the index.
  PrefixIndex(const PagePool& pool, std::int64_t bytes_max);
  ~PrefixIndex();
  PrefixIndex(const PrefixIndex&) = delete;
  PrefixIndex& operator=(const PrefixIndex&) = delete;

  /// A fork of the entry that shares most tokens with `tokens`, cut to what it shares and to `tokens_max`.
  /// `guessed` becomes what lies beside the entry, or null.
  std::optional<SequenceKv> find(const PrefixKey& key, std::span<const std::int32_t> tokens, int tokens_max,
                                 Guessed* guessed = nullptr);
  /// Remembers `sequence`, which has read `tokens`, with what was guessed of them. An entry that it goes on from is
  /// replaced.
  void insert(const PrefixKey& key, std::span<const std::int32_t> tokens, const SequenceKv& sequence,
              Guessed guessed = nullptr);
  /// Forgets the least recently used entry; false when there is none.
  bool drop_one();
  /// Forgets all entries whose key `which` says.
  void drop(const std::function<bool(const PrefixKey&)>& which);

  std::size_t entries() const { return recent_.size(); }
  /// Bytes that only entries hold.
  std::int64_t bytes() const { return static_cast<std::int64_t>(pool_->stats().bytes_prefixes_only); }

 private:
  struct Node;
  struct Entry {
    SequenceKv sequence;
    Node* node = nullptr;
    Guessed guessed = {};
  };
  using Entries = std::list<Entry>;
  struct Match {
    Node* subtree = nullptr;  // its entries share `tokens`
    int tokens = 0;
  };

  Match match(const PrefixKey& key, std::span<const std::int32_t> tokens, int tokens_max);
  Node* node_at(const PrefixKey& key, std::span<const std::int32_t> tokens);
  void erase(Entries::iterator entry);

  const PagePool* pool_;
  std::int64_t bytes_max_;
  std::map<PrefixKey, std::unique_ptr<Node>> roots_;
  Entries recent_;  // the most recently used first
};

}  // namespace pmt::kv_cache
