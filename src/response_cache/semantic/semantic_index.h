// Nearest neighbours of a question among the cached questions of its scope, by the cosine of their
// embeddings.
//
// A vector is kept twice: as the signs of its components (48 B for 384) and as int8 with one scale. A lookup
// counts differing signs against every entry of the scope, keeps the `rerank` nearest, and computes those
// cosines. The expected share of differing signs is angle/pi (M. Charikar, 2002, with the axes as
// directions): at cosine .8 it is .20 +- .02 of 384, unrelated vectors are at .5 +- .026, so what could be
// served is never lost by the first pass. Why not a graph: note 0011.
//
// Entries are taken out in O(1). Above `entries_max` the oldest goes.
// Thread-safety: any thread may call anything; lookups run side by side.
// Cost: about 450 B an entry and its text; a lookup over 100,000 reads 5 MB of signs: .38 ms.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <shared_mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "response_cache/store/entry.h"

namespace pmt::response_cache {

/// An embedding as it is kept: int8 components, the largest of them 127.
struct PackedVector {
  float scale = 0;
  std::vector<std::int8_t> values;
  static PackedVector of(std::span<const float> vector);
};

/// Hash of everything that must be equal for two questions to be compared (canonical_key.h: scope_of).
using Scope = base::Digest;

struct Neighbour {
  std::uint64_t id = 0;  // of add
  Key key;
  float cosine = 0;
};

class SemanticIndex {
 public:
  struct Options {
    std::size_t entries_max = 200'000;
    std::size_t rerank = 64;
  };
  explicit SemanticIndex(Options options) : options_(options) {}

  /// The id of the new entry, and of the oldest one if it had to go (0: none).
  struct Added {
    std::uint64_t id = 0, removed = 0;
  };
  Added add(const Scope& scope, const Key& key, const PackedVector& vector);
  bool remove(std::uint64_t id);
  /// The nearest first, at most `count` <= rerank.
  std::vector<Neighbour> nearest(const Scope& scope, std::span<const float> vector, std::size_t count) const;
  std::size_t size() const;

 private:
  /// Of one scope: parallel arrays, in no order.
  struct Bucket {
    std::size_t words = 0;  // of 64 signs
    std::size_t width = 0;
    std::vector<std::uint64_t> signs;  // [entries, words]
    std::vector<std::int8_t> values;   // [entries, width]
    std::vector<float> scales;
    std::vector<Key> keys;
    std::vector<std::uint64_t> ids;
  };
  struct Place {
    Scope scope;
    std::size_t at = 0;
    std::list<std::uint64_t>::iterator age;
  };
  bool remove_locked(std::uint64_t id);

  const Options options_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<Scope, Bucket, base::DigestHash> buckets_;
  std::unordered_map<std::uint64_t, Place> places_;
  std::list<std::uint64_t> by_age_;  // oldest first
  std::uint64_t next_id_ = 1;
};

}  // namespace pmt::response_cache
