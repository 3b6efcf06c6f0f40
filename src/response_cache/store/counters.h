// How lookups ended that RAM and disk could not answer, each counted once, where it ends, for its model and tenant;
// a hit in RAM is counted by the store. Thread-safety: any thread. Cost: a miss is one relaxed addition, 128 KB.
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
  kHit,        // an entry from elsewhere: the shared tier, or another question's
  kCoalesced,  // another request's computation, here or on another server: a miss as well
};

struct LookupEnd {
  Ending ending = Ending::kMiss;
  base::UserView who = {};  // whose lookup it was; its key is not told apart
  std::int64_t tokens = 0;  // what was saved
  double usd = 0;
};

class Counters {
 public:
  void end(const Key& key, Owners::Number owner, const LookupEnd& end) {
    if (end.ending != Ending::kHit)
      lines_[key.bytes[0] % kLines].misses[owner].fetch_add(1, std::memory_order_relaxed);
    if (end.ending == Ending::kMiss) return;
    const bool hit = end.ending == Ending::kHit;
    const std::lock_guard lock(mutex_);
    of_owner(counted_, owner) += Stats{
        .hits = hit ? 1U : 0U, .coalesced = hit ? 0U : 1U, .tokens_saved = end.tokens, .usd_saved = end.usd};
  }
  void refused(Owners::Number owner) {
    const std::lock_guard lock(mutex_);
    ++of_owner(counted_, owner).refused;
  }

  /// `owners`: how many there are.
  void add_to(StatsByOwner& sums, std::size_t owners) const {
    if (sums.size() < owners) sums.resize(owners);
    for (std::size_t line = 0; line < kLines; ++line) {
      for (std::size_t owner = 0; owner < owners; ++owner)
        sums[owner].misses += lines_[line].misses[owner].load(std::memory_order_relaxed);
    }
    const std::lock_guard lock(mutex_);
    for (std::size_t owner = 0; owner < counted_.size() && owner < owners; ++owner)
      sums[owner] += counted_[owner];
  }

 private:
  static constexpr std::size_t kLines = 16;
  struct alignas(64) Line {  // cores that miss take no line from one another
    std::array<std::atomic<std::uint64_t>, Owners::kMax> misses{};
  };
  const std::unique_ptr<Line[]> lines_ = std::make_unique<Line[]>(kLines);
  mutable std::mutex mutex_;
  StatsByOwner counted_;  // under mutex_
};

}  // namespace pmt::response_cache
