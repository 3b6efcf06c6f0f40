// The response cache's counters of lookups. What each counts stands beside it, in store.h (LookupCounts, Stats) and,
// for users, in docs/observability.md.
//
// Invariants:
// 1. A lookup is a client's request that may read the cache (one for each prompt of a list), or a GET of a value
//    that was put under a name. It is counted once, where it ends, as a hit or as a miss.
// 2. An engine's own call of a model is no client's request. Its lookup is counted beside, in Stats::engine, and so
//    is what it stores.
// 3. Whoever only looks (peek, visit: the list, an export, an entry by its digest, a purge, a flag) counts nothing.
//
// Here are the lookups that RAM and disk could not answer, for the model and tenant that asked; a hit there is
// counted by the store, for those of the entry.
// Thread-safety: any thread. Cost: a miss is one relaxed addition, 256 KB.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "response_cache/store/entry.h"
#include "response_cache/store/owners.h"
#include "response_cache/store/store.h"

namespace pmt::response_cache {

/// How a lookup ended that went on after RAM and disk had nothing.
enum class Ending {
  kMiss,       // nobody had it
  kHit,        // an entry of the shared tier
  kSemantic,   // another question's entry: a hit
  kCoalesced,  // another request's computation, here or on another server: a miss as well
};

struct LookupEnd {
  Ending ending = Ending::kMiss;
  Asker asker = Asker::kClient;
  base::UserView who = {};  // whose lookup it was; its key is not told apart
  std::int64_t tokens = 0;  // what was saved
  double usd = 0;
};

class Counters {
 public:
  void end(const Key& key, Owners::Number owner, const LookupEnd& end) {
    const bool hit = end.ending == Ending::kHit || end.ending == Ending::kSemantic;
    if (!hit) {
      Line& line = lines_[key.bytes[0] % kLines];
      auto& misses = end.asker == Asker::kEngine ? line.engine_misses : line.misses;
      misses[owner].fetch_add(1, std::memory_order_relaxed);
    }
    if (end.ending == Ending::kMiss) return;
    const std::lock_guard lock(mutex_);
    of_owner(counted_, owner).of(end.asker) +=
        LookupCounts{.hits = hit ? 1U : 0U,
                     .semantic = end.ending == Ending::kSemantic ? 1U : 0U,
                     .coalesced = hit ? 0U : 1U,
                     .tokens_saved = end.tokens,
                     .usd_saved = end.usd};
  }
  void refused(Owners::Number owner) {
    const std::lock_guard lock(mutex_);
    ++of_owner(counted_, owner).refused;
  }
  void flagged(Owners::Number owner) {
    const std::lock_guard lock(mutex_);
    ++of_owner(counted_, owner).flagged;
  }

  /// `owners`: how many there are.
  void add_to(StatsByOwner& sums, std::size_t owners) const {
    if (sums.size() < owners) sums.resize(owners);
    for (std::size_t line = 0; line < kLines; ++line) {
      for (std::size_t owner = 0; owner < owners; ++owner) {
        sums[owner].misses += lines_[line].misses[owner].load(std::memory_order_relaxed);
        sums[owner].engine.misses += lines_[line].engine_misses[owner].load(std::memory_order_relaxed);
      }
    }
    const std::lock_guard lock(mutex_);
    for (std::size_t owner = 0; owner < counted_.size() && owner < owners; ++owner)
      sums[owner] += counted_[owner];
  }

 private:
  static constexpr std::size_t kLines = 16;
  struct alignas(64) Line {  // cores that miss take no line from one another
    std::array<std::atomic<std::uint64_t>, Owners::kMax> misses{}, engine_misses{};
  };
  const std::unique_ptr<Line[]> lines_ = std::make_unique<Line[]>(kLines);
  mutable std::mutex mutex_;
  StatsByOwner counted_;  // under mutex_
};

}  // namespace pmt::response_cache
