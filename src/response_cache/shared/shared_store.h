// Cache 1 beyond this process: what several servers share (note 0012). The interface that the cache and
// single flight use; redis_store.h is the one there is.
//
// Thread-safety: any thread may call anything. Callbacks run on a thread of the store's own, or inside the
// call when the store is down; they must not block.
// Errors: none. A store that can't be reached answers like one that has nothing, and its stats say so.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/by_user.h"
#include "response_cache/store/entry_codec.h"
#include "response_cache/store/invalidation.h"

namespace pmt::response_cache {

/// The right to compute one key's answer while others wait. token "": none is held.
struct Lease {
  Key key;
  std::string token = {};
};

/// What requests' lookups and stores came to.
struct SharedCounts {
  std::uint64_t hits = 0, misses = 0, stores = 0;
  std::uint64_t waited = 0;       // answers that another server was computing, and that were waited for
  std::uint64_t wait_limits = 0;  // waits that ended with computing here all the same
  SharedCounts& operator+=(const SharedCounts& other) {
    hits += other.hits;
    misses += other.misses;
    stores += other.stores;
    waited += other.waited;
    wait_limits += other.wait_limits;
    return *this;
  }
};

struct SharedStats : SharedCounts {
  bool up = false;
  std::string last_error = {};
  std::uint64_t servers = 0;  // that are alive, this one included
  std::uint64_t voided = 0;   // values that were there, but void by an invalidation or a lost epoch
  std::uint64_t corrupt = 0;  // values that failed their checks
  std::uint64_t leases = 0, taken_over = 0;  // the second: after another holder had it
  std::uint64_t skipped = 0;   // lookups and stores left out while the store was down or too busy
  std::uint64_t failures = 0;  // times it went down
  std::uint64_t sent = 0, received = 0, pending = 0;  // invalidations
  std::uint64_t swept = 0;                            // void values whose memory was freed by this server
};

/// How far an invalidation came.
struct InvalidationReport {
  bool told = false;                       // the store has it; false: it is told as soon as the store is back
  std::uint64_t servers = 0, reached = 0;  // that are alive; of them those that have applied it
  std::uint64_t removed = 0;               // values freed at once: only where the filter names one key
  std::uint64_t number = 0;                // the store's own, as is:
  std::vector<std::string> others = {};
};

class SharedStore {
 public:
  virtual ~SharedStore() = default;

  struct AcquireOptions {
    bool lease = true;    // take the right to compute, if there is no value
    bool wait = true;     // if another has that right, wait for its answer, for a bounded time
    bool counted = true;  // false: somebody only looks, and no counter of lookups moves
    std::optional<double> max_age_s = {};  // an older value counts as none
    std::function<bool()> given_up = {};   // nobody waits any more
    base::User who = {};                   // whose counters count it, by model and tenant
  };
  struct Answer {
    std::shared_ptr<OutsideEntry> entry = nullptr;  // null: compute
    bool waited = false;                            // the entry was computed by another server meanwhile
    bool busy = false;                              // another server computes it, and `wait` was false
    Lease lease = {};
  };
  virtual void acquire(const Key& key, AcquireOptions options, std::function<void(Answer)> done) = 0;

  /// The number of the last invalidation that is known here: for put, taken before the value is computed.
  virtual std::uint64_t position() const = 0;
  /// Stores and gives the lease back.
  virtual void put(const Key& key, std::shared_ptr<const Entry> entry, std::uint64_t since, Lease lease) = 0;
  virtual void release(Lease lease) = 0;

  /// Says that what matches is void. Blocks for one command's time limit.
  virtual InvalidationReport announce(const Filter& filter) = 0;
  /// Waits, bounded, until every server that is alive has applied it.
  virtual InvalidationReport await_applied(InvalidationReport announced) = 0;

  /// From now on every acquire is answered with "compute": before what listens to the answers goes away.
  virtual void quiesce() = 0;
  virtual SharedStats stats() const = 0;
  virtual std::map<base::User, SharedCounts, base::UserLess> stats_by_owner() const = 0;
};

}  // namespace pmt::response_cache
