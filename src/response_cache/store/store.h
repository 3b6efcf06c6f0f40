// The response cache's first tier: entries in RAM, evicted by a policy of choice.
//
// Sharded by the key's first byte; a hit takes one shard's lock, tells that shard's policy and returns a shared
// pointer, so a value being read outlives its eviction. A store of few entries has one shard and so the policy's
// exact order; with more, the victim is of the storing key's shard. The limits hold at every moment, over all
// shards together.
//
// A hit is counted here, since the lookup ends here, as its entry's owner's. A miss is not: a tier below may have
// the entry.
//
// Thread-safety: any thread may call anything. What is below RAM is told of every change inside the shard's
// lock, so it sees a key's changes in their order.
// Cost: an entry costs its value's bytes plus about 350 B; a hit is one hash lookup and the policy's touch.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "response_cache/store/entry.h"
#include "response_cache/store/eviction_policy.h"
#include "response_cache/store/owners.h"

namespace pmt::response_cache {

struct Limits {
  std::size_t entries_max = 1'000'000;
  std::size_t bytes_max = 256ULL << 20;
  Eviction eviction = Eviction::kGdsf;
  double usd_per_second = 3e-5;  // what a second of waiting is worth to GDSF, beside the dollars
};

/// Whose lookup it is, and so which counters it moves (counters.h).
enum class Asker {
  kClient,  // a client's request, or its lookup of a value that it put there
  kEngine,  // an engine's own call of a model, on the way to the answer to a client's request
  kNobody,  // it is counted elsewhere
};
inline Asker asker_of(bool engine_call) {
  return engine_call ? Asker::kEngine : Asker::kClient;
}

struct LookupOptions {
  std::optional<double> max_age_s = {};
  double stale_s = 0;         // so much longer than its life or max_age_s, if the caller has it refreshed
  bool answers_only = false;  // a value that is no model's answer counts as none
  Asker asker = Asker::kClient;
};

/// Why a lookup gave nothing.
enum class Miss { kAbsent, kExpired, kTooOld, kNoAnswer };

enum class Tier { kRam, kDisk, kShared };

/// What a lookup came to.
struct Found {
  EntryPtr entry;  // null: a miss
  bool stale = false;
  Miss why = Miss::kAbsent;
  Tier tier = Tier::kRam;  // where it was found
  explicit operator bool() const { return entry != nullptr; }
};

/// What lookups and stores of one kind of asker came to since the start. Each lookup is in exactly one of `hits`
/// and `misses`.
struct LookupCounts {
  std::uint64_t hits = 0;         // lookups that an entry answered,
  std::uint64_t stale = 0;        // of these: while the answer was computed anew
  std::uint64_t semantic = 0;     // of the hits: with another question's answer
  std::uint64_t misses = 0;       // lookups that no entry answered,
  std::uint64_t coalesced = 0;    // of these: another request's computation did
  std::uint64_t stores = 0;       // values that were kept: computed, put, imported
  std::int64_t tokens_saved = 0;  // of hits and coalesced ones: what computing the answer had cost
  double usd_saved = 0;           // the same in dollars
  std::uint64_t exact() const { return hits - stale - semantic; }
  LookupCounts& operator+=(const LookupCounts& other);
};

/// Clients' lookups, engines' own beside them, and what became of entries since the start. `entries` and `bytes` are
/// of RAM, now.
struct Stats : LookupCounts {
  LookupCounts engine = {};
  std::uint64_t refused = 0;             // calls of store that kept nothing
  std::uint64_t evictions = 0;           // entries that left RAM for room; what is below RAM keeps them
  std::uint64_t expired = 0;             // entries that a lookup met after their life, and that went
  std::uint64_t purged = 0;              // entries that went on request
  std::uint64_t flagged = 0;             // complaints that an answer was another question's
  std::uint64_t entries = 0, bytes = 0;  // each entry's overhead included
  LookupCounts& of(Asker asker) { return asker == Asker::kEngine ? engine : *this; }
  Stats& operator+=(const Stats& other);
};
/// At each owner's number; `entries` and `bytes` are told of all together, not here.
using StatsByOwner = std::vector<Stats>;
Stats& of_owner(StatsByOwner& stats, Owners::Number owner);

/// When an entry's life ends; it saturates: a lifetime of 10^30 s is "never".
base::Nanos expiry_of(const Entry& entry);

class Store {
 public:
  /// The tier that RAM writes through to.
  class Below {
   public:
    virtual ~Below() = default;
    virtual void put(const Key& key, EntryPtr entry) = 0;
    virtual void erase(const Key& key) = 0;
  };
  using Matches = std::function<bool(const Key&, const StoreOptions&)>;
  /// Whether an entry may still be kept: asked inside the shard's lock.
  using Admit = std::function<bool()>;

  Store(Limits limits, const base::Clock& clock);
  ~Store();

  /// Requires: called before anything is stored. `below` outlives this.
  void write_through(Below* below);

  Found find(const Key& key, const LookupOptions& options);
  /// For whoever only looks: counts nothing, moves nothing. `held`: the key is here, live or not.
  struct Peeked {
    bool held = false;
    EntryPtr live = nullptr;
  };
  Peeked peek(const Key& key) const;
  /// The entry's hits; null: it isn't here.
  std::optional<std::uint64_t> hits(const Key& key) const;

  /// Keeps `entry`, replacing what was there; false: it wasn't admitted. Errors: larger than the byte limit
  /// (kTooLarge); the previous entry is untouched.
  base::Result<bool> put(const Key& key, const EntryPtr& entry, const Admit& admit);
  /// The same for what was read from below RAM, uncounted and not written through: only where the key is absent,
  /// and was not stored since `changes` was read.
  bool fill(const Key& key, const EntryPtr& entry, std::uint64_t changes, const Admit& admit);
  std::uint64_t changes(const Key& key) const;

  /// Whose it was; null: it wasn't there.
  std::optional<Owners::Number> erase(const Key& key);
  using Erased = std::unordered_map<Key, Owners::Number, base::DigestHash>;
  Erased erase_if(const Matches& matches);

  /// Every live entry between the two keys that matches, in no order. Holds one shard's lock at a time; `visit`
  /// runs outside.
  void visit(const Key& from, const Key& to, const Matches& matches,
             const std::function<void(const Key&, const Entry&)>& visit) const;

  /// Hits in RAM but for semantic ones, stores, refusals, evictions, and what expired here.
  StatsByOwner stats() const;
  /// Entries and bytes, and nothing else.
  Stats held() const;
  Owners& owners() { return owners_; }
  const Owners& owners() const { return owners_; }

 private:
  struct Shard;
  struct Node;
  class Room;
  using NodePtr = std::shared_ptr<Node>;

  Found look_up(const Key& key, const LookupOptions& options);
  Shard& shard(const Key& key) const;
  std::atomic<std::uint64_t>& changes_of(const Key& key) const;
  std::optional<Miss> unusable(Shard& home, Node& node, const LookupOptions& options, bool& stale,
                               NodePtr& expired);
  base::Result<bool> keep(const Key& key, const EntryPtr& entry, const Admit& admit,
                          const std::uint64_t* filled_at);
  bool try_put(Shard& home, const Key& key, const EntryPtr& entry, Owners::Number owner,
               std::vector<NodePtr>& removed);
  void evict_elsewhere(const Shard& full);

  const base::Clock& clock_;
  Owners owners_;
  const std::unique_ptr<Room> room_;
  const std::size_t shard_count_;
  const std::unique_ptr<Shard[]> shards_;
  std::atomic<std::size_t> next_victim_{0};
  Below* below_ = nullptr;
  // Of a part of the keys each, moved on with every store inside the shard's lock: what was read from below
  // before does not replace what is newer.
  mutable std::array<std::atomic<std::uint64_t>, 1024> changes_{};
};

}  // namespace pmt::response_cache
