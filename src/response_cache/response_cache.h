// Cache 1: answers and computation results by exact key. What is stored is kept in RAM, on disk and in a shared
// store, as far as there are these (tiers.h); this is the face that all the others use, and where lookups are
// counted: each once, where it ends (counters.h).
//
// Stale entries: one whose life is over stays for its `stale_s` more, and is given only to a caller that
// takes stale ones and refreshes them.
//
// Thread-safety: any thread may call anything. Cost: tiers.h, store/store.h.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "response_cache/store/counters.h"
#include "response_cache/store/entry.h"
#include "response_cache/store/invalidation.h"
#include "response_cache/store/store.h"
#include "response_cache/tiers.h"

namespace pmt::response_cache {

class ResponseCache {
 public:
  ResponseCache(Limits limits, const base::Clock& clock);
  ~ResponseCache();

  /// The entry, of RAM or disk, if it is fresh enough. The lookup ends here: it is a hit or a miss.
  Found find(const Key& key, const LookupOptions& options = {});
  EntryPtr get(const Key& key, std::optional<double> max_age_s = {}) {
    return find(key, {.max_age_s = max_age_s}).entry;
  }
  /// The same in the shared tier too, for a caller of this tenant. Calls `done` once, perhaps later and on another
  /// thread.
  void find_everywhere(const Key& key, const std::string& tenant, std::function<void(EntryPtr)> done);
  /// The live entry, wherever it is, for whoever only looks: no counter moves, and no tier gets it. Calls `done` as
  /// find_everywhere does.
  void look(const Key& key, std::function<void(EntryPtr)> done) { tiers_.look(key, std::move(done)); }

  /// Keeps `value` under `key`, replacing what was there. Errors: larger than the byte limit (kTooLarge);
  /// on an error the previous entry is untouched. Returns false, storing nothing, when not reusable, or when
  /// it was purged since `reservation`.
  base::Result<bool> store(const Key& key, Value value, StoreOptions options);
  base::Result<bool> store(const Key& key, Value value, StoreOptions options, Reservation reservation);
  /// Puts back what was stored before, elsewhere or earlier: it keeps its age. False: its life is over.
  /// Errors: as store.
  base::Result<bool> restore(OutsideEntry entry);

  /// Removes what matches, here and on every server that shares. Returns how many there were here. Blocks,
  /// bounded, until the others have applied it: not for I/O threads. `applied` (if not null) says how far that
  /// came; it stays as it is without a shared tier.
  std::size_t purge(const Filter& filter, InvalidationReport* applied = nullptr);

  /// Removes one answer so that it isn't given again: with it go the entries that it was made of, which would make it
  /// anew, and those that were made of it, which would still give it. `entry`: what is under the key; null: whatever
  /// is. Returns and blocks as purge does. Cost: reads every record's metadata.
  std::size_t purge_answer(const Key& key, const EntryPtr& entry, InvalidationReport* applied = nullptr);
  /// Counts that somebody called this entry's answer another question's.
  void count_flagged(const Entry& entry) { counters_.flagged(tiers_.owners().of(entry.meta)); }

  /// Every live entry that matches, of RAM and disk, in no order; `visit` runs outside of locks.
  void visit(const Filter& filter, const std::function<void(const Key&, const Entry&)>& visit) const;
  Stats stats() const;
  /// The same for each model and tenant, but for `entries` and `bytes`: what is counted of an entry is its own
  /// model's and tenant's, a miss is the request's. The key is "".
  std::vector<std::pair<base::User, Stats>> stats_by_owner() const;

  /// For lookups that go on after RAM and disk had nothing: single flight's and the semantic tier's. They start
  /// with tiers().find, which counts a hit, and say here how they ended otherwise.
  void end_lookup(const Key& key, const LookupEnd& end);
  Tiers& tiers() { return tiers_; }
  const Tiers& tiers() const { return tiers_; }

 private:
  StatsByOwner counted() const;

  const base::Clock& clock_;
  Counters counters_;
  Tiers tiers_;
};

}  // namespace pmt::response_cache
