// How lookups ended that RAM and disk could not answer, each counted once, where it ends; a hit in RAM is counted
// by the store. Thread-safety: any thread. Cost: a miss is one relaxed addition.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>

#include "response_cache/store/entry.h"
#include "response_cache/store/store.h"

namespace pmt::response_cache {

/// How a lookup ended that went on after RAM and disk had nothing.
enum class Ending {
  kMiss,       // nobody had it
  kHit,        // an entry from elsewhere: the shared tier, or another question's
  kCoalesced,  // another request's computation, here or on another server: a miss as well
};

class Counters {
 public:
  /// `tokens` and `usd`: what was saved.
  void end(Ending ending, const Key& key, std::int64_t tokens = 0, double usd = 0) {
    if (ending != Ending::kHit)
      lines_[key.bytes[0] % lines_.size()].misses.fetch_add(1, std::memory_order_relaxed);
    if (ending == Ending::kMiss) return;
    const std::lock_guard lock(mutex_);
    ++(ending == Ending::kHit ? counted_.hits : counted_.coalesced);
    counted_.tokens_saved += tokens;
    counted_.usd_saved += usd;
  }
  void refused() {
    const std::lock_guard lock(mutex_);
    ++counted_.refused;
  }

  void add_to(Stats& sum) const {
    for (const Line& line : lines_) sum.misses += line.misses.load(std::memory_order_relaxed);
    const std::lock_guard lock(mutex_);
    sum.hits += counted_.hits;
    sum.coalesced += counted_.coalesced;
    sum.refused += counted_.refused;
    sum.tokens_saved += counted_.tokens_saved;
    sum.usd_saved += counted_.usd_saved;
  }

 private:
  struct alignas(64) Line {  // cores that miss take no line from one another
    std::atomic<std::uint64_t> misses{0};
  };
  std::array<Line, 16> lines_;
  mutable std::mutex mutex_;
  Stats counted_;  // under mutex_
};

}  // namespace pmt::response_cache
