// Prompts that were read before, so that a request that begins alike needn't read them again.
//
// An entry holds a fork of a sequence: its pages are shared, and copied when a request writes to one. An
// exact entry serves any common prefix; a compact one only requests of the same ratio that go on where it
// ended, since its pages are what one eviction left of one prompt. Exact requests never get a compact entry.
// Entries beyond `bytes_max` go, the least recently used first; the scheduler drops more when it needs room.
// Thread-safety: one owner thread. Errors: none. Cost: find compares tokens with every entry.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <span>
#include <vector>

#include "kv_cache/sequence_kv.h"

namespace pmt::kv_cache {

class PrefixIndex {
 public:
  /// Shorter prefixes are read again faster than they are worth keeping.
  static constexpr int kTokensMin = 64;

  explicit PrefixIndex(std::int64_t bytes_max) : bytes_max_(bytes_max) {}

  /// A fork of the entry that shares most tokens with `tokens`, cut to what it shares and to `tokens_max`.
  /// `ratio`: 1 for exact.
  std::optional<SequenceKv> find(std::span<const std::int32_t> tokens, int tokens_max, double ratio);
  /// Remembers `sequence`, which has read `tokens`. An entry that it goes on from is replaced.
  void insert(std::span<const std::int32_t> tokens, const SequenceKv& sequence, double ratio);
  /// Forgets the least recently used entry; false when there is none.
  bool drop_one();

  std::size_t entries() const { return entries_.size(); }
  /// Bytes that only entries hold.
  std::int64_t bytes() const;

 private:
  /// Bytes of all pages that entries hold, each page once.
  std::int64_t bytes_held() const;
  /// Of the pages for which counts(references, how many entries hold it) says so, each once.
  std::int64_t sum(const std::function<bool(std::uint32_t, std::uint32_t)>& counts) const;

  struct Entry {
    std::vector<std::int32_t> tokens;
    SequenceKv sequence;
    double ratio = 1;
  };

  std::int64_t bytes_max_;
  std::list<Entry> entries_;  // the most recently used first
};

}  // namespace pmt::kv_cache
