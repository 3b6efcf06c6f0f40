// What a store's limits leave: one count for all shards, so that a large value fits wherever its key falls.
// Entries are counted in before they are linked and out after they are unlinked, so what is held never exceeds
// the limits. Thread-safety: any thread.
#pragma once

#include <atomic>
#include <cstddef>

#include "response_cache/store/store.h"

namespace pmt::response_cache {

class Store::Room {
 public:
  explicit Room(const Limits& limits) : limits_(limits) {}

  /// False: it doesn't fit, and nothing is taken.
  bool take(std::size_t entries, std::size_t bytes) {
    if (!add(entries_, entries, limits_.entries_max)) return false;
    if (add(bytes_, bytes, limits_.bytes_max)) return true;
    entries_ -= entries;
    return false;
  }
  void give_back(std::size_t entries, std::size_t bytes) {
    entries_ -= entries;
    bytes_ -= bytes;
  }
  std::size_t entries() const { return entries_; }
  std::size_t bytes() const { return bytes_; }
  const Limits& limits() const { return limits_; }

 private:
  static bool add(std::atomic<std::size_t>& sum, std::size_t n, std::size_t max) {
    std::size_t now = sum.load();
    while (n <= max && now <= max - n) {
      if (sum.compare_exchange_weak(now, now + n)) return true;
    }
    return n == 0;
  }
  const Limits limits_;
  std::atomic<std::size_t> entries_{0};
  std::atomic<std::size_t> bytes_{0};
};

}  // namespace pmt::response_cache
