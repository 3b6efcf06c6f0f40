// Where entries lie: RAM, below it perhaps a disk, below that perhaps a store that several servers share. A lookup
// goes down tier by tier and says where it found what it found; what is found below is filled into RAM. What is
// stored goes to every tier, and what is purged leaves every tier.
//
//   find: RAM -> disk         at most some microseconds, on the caller's thread
//   fetch: the shared tier    asynchronous; with the right to be the only server that computes
//
// Invariant: what was begun before a purge (a computation, a read) doesn't come back after it. Whoever makes a
// value holds a Reservation, which knows which purges there were before.
// Thread-safety: any thread may call anything.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "response_cache/disk/disk_store.h"
#include "response_cache/shared/shared_store.h"
#include "response_cache/store/entry.h"
#include "response_cache/store/invalidation.h"
#include "response_cache/store/store.h"

namespace pmt::response_cache {

/// Held by whoever computes a value: which purges were known before, and perhaps the lease of the shared tier,
/// which is given back with the value or by the destructor. Ends before the tiers do.
class Reservation {
 public:
  Reservation() = default;
  ~Reservation() { give_back(); }
  Reservation(Reservation&& other) noexcept { swap(other); }
  Reservation& operator=(Reservation&& other) noexcept {
    Reservation taken(std::move(other));
    swap(taken);
    return *this;
  }

 private:
  friend class Tiers;
  void give_back() {
    if (holder_ != nullptr && !lease_.token.empty()) holder_->release(std::move(lease_));
    holder_ = nullptr;
  }
  void swap(Reservation& other) noexcept {
    std::swap(local_, other.local_);
    std::swap(shared_, other.shared_);
    std::swap(holder_, other.holder_);
    std::swap(lease_, other.lease_);
  }
  std::uint64_t local_ = 0, shared_ = 0;  // the last purges that were known, by each one's own numbers
  SharedStore* holder_ = nullptr;
  Lease lease_;
};

/// What the shared tier answered.
struct Fetched {
  EntryPtr entry = nullptr;  // null: compute
  bool waited = false;       // another server computed it meanwhile
  bool busy = false;         // another server computes it, and it wasn't to be waited for
  Reservation reservation = {};
};

class Tiers {
 public:
  Tiers(Limits limits, const base::Clock& clock);
  ~Tiers();

  /// Requires, of these two: called before anything is stored. The shared store's `drop` and `drop_if` lead to
  /// purge and purge_if here.
  void set_disk(std::unique_ptr<DiskStore> disk);
  void set_shared(std::unique_ptr<SharedStore> shared);
  /// Null without one.
  DiskStore* disk() const { return disk_.get(); }
  SharedStore* shared() const { return shared_.get(); }

  Found find(const Key& key, const LookupOptions& options);
  /// In RAM alone: for who looked everywhere before.
  Found find_in_ram(const Key& key, const LookupOptions& options) { return ram_.find(key, options); }
  /// The live entry, of RAM or disk, for whoever only looks: counts nothing, moves nothing.
  EntryPtr peek(const Key& key) const;
  /// As the store's: of RAM.
  std::optional<std::uint64_t> hits(const Key& key) const { return ram_.hits(key); }
  /// Calls `done` once, perhaps later and on another thread; inside the call where there is no shared tier.
  void fetch(const Key& key, SharedStore::AcquireOptions options, std::function<void(Fetched)> done);
  /// peek, in the shared tier too. Calls `done` as fetch does.
  void look(const Key& key, std::function<void(EntryPtr)> done);

  Reservation reserve() const;
  /// False: it was purged since `reservation`. Errors: as Store::put; the previous entry is untouched.
  base::Result<bool> put(const Key& key, const EntryPtr& entry, Reservation reservation);

  /// From this process, disk included. Return how many there were. Cost: reads every record's metadata, 1.6 s a
  /// million on disk, unless the filter names one key.
  std::size_t purge(const Filter& filter);
  std::size_t purge_if(const Store::Matches& matches);

  /// Every live entry that matches, of RAM and disk, in no order; `visit` runs outside of locks.
  void visit(const Filter& filter, const std::function<void(const Key&, const Entry&)>& visit) const;

  /// Of RAM, how much was purged, and what expired below.
  StatsByOwner stats() const;
  Stats held() const { return ram_.held(); }
  /// Null without one. Its hits are counted here, where it is known who looked.
  std::optional<DiskStats> disk_stats() const;
  /// What this server keeps: with a disk what is there, which is all but what it dropped; else what is in RAM. An
  /// entry whose life is over is still counted until a lookup meets it.
  struct Kept {
    std::uint64_t entries = 0, bytes = 0;
  };
  Kept kept() const;
  Owners& owners() { return ram_.owners(); }
  const Owners& owners() const { return ram_.owners(); }
  /// As an entry that was stored long ago: it keeps its age.
  EntryPtr entry_of(OutsideEntry outside) const;

 private:
  class ToDisk;
  std::size_t purge_key(const Key& key);
  std::size_t drop(const Store::Matches& matches, const std::function<void()>& between);
  bool fill(const Key& key, const EntryPtr& entry, std::uint64_t since, std::uint64_t changes);
  bool bring_from_disk(const Key& key);
  void count(Owners::Number owner, std::uint64_t Stats::*what);

  const base::Clock& clock_;
  std::unique_ptr<DiskStore> disk_;
  std::unique_ptr<ToDisk> to_disk_;
  Store ram_;
  // What was purged, by this process's own numbers.
  InvalidationTable voids_;
  std::atomic<std::uint64_t> purges_{0};
  std::atomic<std::uint64_t> disk_hits_{0};
  mutable std::mutex gone_mutex_;
  StatsByOwner gone_;                    // under gone_mutex_: what was purged, and what expired on the disk
  std::unique_ptr<SharedStore> shared_;  // the last: its threads use all the others
};

}  // namespace pmt::response_cache
