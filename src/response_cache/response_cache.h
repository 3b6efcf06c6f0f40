// Cache 1, its store: answers and computation results by exact key, in RAM, evicted by a policy of choice.
//
// Sharded by the key's first byte; a hit takes one shard's lock, tells that shard's policy and returns a
// shared pointer, so a value being read outlives its eviction. A cache of few entries has one shard and so
// the policy's exact order; with more, the victim is of the storing key's shard. The limits hold at every
// moment, over all shards together.
//
// Stale entries: one whose life is over stays for its `stale_s` more, and is given only to a caller that
// takes stale ones and refreshes them.
//
// Below RAM there may be a disk (keep_on): every store goes there too, and a lookup that finds nothing in RAM
// looks there, at a few microseconds. Below that there may be a store that several servers share (share_on):
// single flight asks it before it computes.
//
// Thread-safety: any thread may call anything.
//
// Cost: an entry costs its value's bytes plus about 350 B; a hit is one hash lookup and the policy's touch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/hash.h"
#include "base/result.h"
#include "llm/event.h"
#include "response_cache/store/eviction_policy.h"
#include "response_cache/store/invalidation.h"

namespace pmt::response_cache {

class DiskStore;
class SharedStore;
struct Lease;
struct Reach;
struct OutsideEntry;

/// A completed answer, as the events that were sent: replays as SSE or JSON. Ends with Done.
struct RecordedAnswer {
  std::vector<llm::Event> events;
};

/// What an entry holds: a model's answer, or any JSON computed by a caller.
struct Value {
  std::variant<RecordedAnswer, nlohmann::json> content;
};

struct StoreOptions {
  std::int64_t tokens = 0;  // what computing the value cost, by the model's own tokenizer
  bool reusable = true;     // false: kept out of the cache, the call counts as refused
  std::optional<double> ttl_s = {};
  std::string tenant = {};  // whose it is: nobody else may see it
  std::string name_space = {};
  std::string model = {};
  std::vector<std::string> tags = {};
  std::string question = {};        // of the semantic tier: what was asked,
  std::string semantic_scope = {};  // and the hash of everything else; "" if it is not in that tier
  double usd = 0;                   // what computing it cost
  double compute_s = 0;             // how long it took
  double stale_s = 0;               // how long after ttl_s it may still be given while it is refreshed
};

struct Entry {
  Value value;
  StoreOptions meta;
  base::Nanos stored_at{0};
  std::int64_t stored_unix_s = 0;
  std::size_t bytes = 0;
};

struct Limits {
  std::size_t entries_max = 1'000'000;
  std::size_t bytes_max = 256ULL << 20;
  Eviction eviction = Eviction::kGdsf;
  double usd_per_second = 3e-5;  // what a second of waiting is worth to GDSF, beside the dollars
};

/// How old an entry a caller takes.
struct Freshness {
  std::optional<double> max_age_s = {};
  double stale_s = 0;  // so much longer than its life or max_age_s, if the caller has it refreshed
};

/// Why a lookup gave nothing.
enum class Miss { kAbsent, kExpired, kTooOld };

struct Found {
  std::shared_ptr<const Entry> entry;  // null: a miss
  bool stale = false;
  Miss why = Miss::kAbsent;
  explicit operator bool() const { return entry != nullptr; }
};

/// Counters since start. `hits + misses` = lookups; a stale hit is a hit; a coalesced one has missed first.
/// `refused`: calls of store that kept nothing. `purged`: by erase or purge. `bytes` includes each entry's
/// overhead.
struct Stats {
  std::uint64_t hits = 0, stale = 0, misses = 0, coalesced = 0, stores = 0, refused = 0, evictions = 0,
                expired = 0, purged = 0;
  std::uint64_t entries = 0, bytes = 0;
  std::int64_t tokens_saved = 0;
  double usd_saved = 0;
};

/// Which invalidations were known: taken before a value is computed, and given when it is stored.
struct Moment {
  std::uint64_t local = 0, shared = 0;
};

class ResponseCache {
 public:
  ResponseCache(Limits limits, const base::Clock& clock);
  ~ResponseCache();

  /// Requires: called before anything is stored.
  void keep_on(std::unique_ptr<DiskStore> disk);
  /// Null without one.
  DiskStore* disk() const;

  /// Requires: as keep_on; and `drop` and `drop_if` of the store lead to purge and purge_if here.
  void share_on(std::unique_ptr<SharedStore> shared);
  /// Null without one.
  SharedStore* shared() const;

  /// The entry if it is fresh enough. Counts a hit or a miss.
  Found find(const Key& key, const Freshness& freshness);
  std::shared_ptr<const Entry> get(const Key& key, std::optional<double> max_age_s = {}) {
    return find(key, {.max_age_s = max_age_s}).entry;
  }

  /// For a caller of get that missed and, with its own lock held, looks once more before it computes: the
  /// earlier miss becomes a hit if a fresh entry is there by now. Counts nothing otherwise.
  std::shared_ptr<const Entry> get_after_miss(const Key& key, std::optional<double> max_age_s = {});

  /// The live entry, of RAM or disk, for whoever only looks: counts nothing, moves nothing.
  std::shared_ptr<const Entry> peek(const Key& key) const;

  /// An entry of the shared tier, found after a lookup that missed: it is kept in RAM if nothing that was
  /// purged since `since` covers it. Counted as below.
  std::shared_ptr<const Entry> take_shared(OutsideEntry entry, const Moment& since, bool waited);
  /// One more that was given the same entry, after a lookup of its own that missed: the miss becomes a hit,
  /// or, if another server's computation was waited for, is coalesced.
  void count_shared(const Entry& entry, bool waited);
  /// Looks everywhere, the shared tier included, and calls `done` once, perhaps later and on another thread.
  void find_everywhere(const Key& key, std::function<void(std::shared_ptr<const Entry>)> done);

  Moment moment() const;

  /// Keeps `value` under `key`, replacing what was there. Errors: larger than the byte limit (kTooLarge);
  /// on an error the previous entry is untouched. Returns false, storing nothing, when not reusable, or when
  /// it was purged since `since`. `lease` is given back in every case.
  base::Result<bool> store(const Key& key, Value value, StoreOptions options);
  base::Result<bool> store(const Key& key, Value value, StoreOptions options, const Moment& since,
                           Lease lease);

  /// Puts back what was stored before, elsewhere or earlier: it keeps its age. False: its life is over.
  /// Errors: as store.
  base::Result<bool> restore(OutsideEntry entry);

  using Filter = response_cache::Filter;
  bool erase(const Key& key);
  /// Removes from this process, disk included, what matches. Returns how many. Cost: reads every record's
  /// metadata, 1.6 s a million on disk, unless the filter names one key.
  std::size_t purge(const Filter& filter);
  std::size_t purge_if(const std::function<bool(const Key&, const StoreOptions&)>& matches);
  /// The same here and on every server that shares. Blocks, bounded, until they have applied it: not for I/O
  /// threads. `reach` (if not null) says how far it came; it stays as it is without a shared tier.
  std::size_t purge_everywhere(const Filter& filter, Reach* reach);

  /// Every live entry that matches, of RAM and disk, in no order. Holds one shard's lock at a time; `visit`
  /// runs outside.
  void visit(const Filter& filter, const std::function<void(const Key&, const Entry&)>& visit) const;

  Stats stats() const;
  /// Called by single flight when a follower shared a leader's answer.
  void count_coalesced(std::int64_t tokens, double usd);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pmt::response_cache
