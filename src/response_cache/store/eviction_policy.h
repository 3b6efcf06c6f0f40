// Who goes when the response cache is full. One policy a shard; the shard's lock covers it.
//
// | policy  | goes first                                                | for                                        |
// | GDSF    | least (dollars per byte x uses), aged by what went before | answers that differ in cost: the default   |
// | LRU     | longest unused                                            | values that cost alike and repeat soon     |
// | S3-FIFO | unused since it came, then unused for longest             | values that cost alike, with one-time scans |
//
// GDSF (L. Cherkasova, 1998): priority = L + uses x worth / bytes when an entry is stored or used, L = the
// priority of the last one that went. Kept in O(1) as CAMP does (S. Ghandeharizadeh and others, 2014): uses x
// worth / bytes is rounded down to a quarter of an octave, each of those 256 classes is a queue, and since L
// only grows, the least priority of a class is at its end. As in CLOCK a use only leaves a mark: whoever is
// about to go and was used since it was filed is filed anew, by L as it is then. So a hit writes the entry
// itself and no neighbour in a queue.
//
// S3-FIFO (J. Yang and others, 2023): a small queue of a tenth of the bytes, a main queue with second
// chances, and the ids of what left the small one.
//
// Thread-safety: none. Cost: add, touch and remove O(1); pick O(1) but for GDSF, which looks at the ends of
// all classes that hold something, 100 ns to 1 us, and so again for each that it files anew, 64 at most.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "base/hash.h"

namespace pmt::response_cache {

enum class Eviction { kGdsf, kLru, kS3Fifo };
/// Those that there are, the default first: whoever offers them to people reads them here.
std::span<const Eviction> eviction_policies();
/// As people write it.
const char* to_string(Eviction policy);

/// What a policy is told of an entry, and what it notes about it.
struct Evictable {
  static constexpr std::size_t kIdAt = 16;
  base::Digest key;
  std::size_t bytes = 1;
  float worth = 1;  // what computing it again would cost, in any unit; positive

  // The policy's own.
  std::uint32_t uses : 21 = 0;
  std::uint32_t touched : 1 = 0;
  std::uint32_t queue : 10 = 0;
  Evictable* newer = nullptr;
  Evictable* older = nullptr;
  double priority = 0;

  /// Uniform, as all of a key's bytes.
  std::uint64_t id() const {
    std::uint64_t id;
    std::memcpy(&id, key.bytes.data() + kIdAt, sizeof id);
    return id;
  }
  /// For who has no keys, as a replayed trace.
  void set_id(std::uint64_t id) { std::memcpy(key.bytes.data() + kIdAt, &id, sizeof id); }
  /// Takes over what the policy noted about `before`, which was removed because this replaces it.
  void follow(const Evictable& before) {
    uses = before.uses;
    queue = before.queue;
  }
};

class EvictionPolicy {
 public:
  virtual ~EvictionPolicy() = default;
  /// `entry` is held from now on, and stays where it is. The uses that it brings count on: it was removed, or
  /// follows one that was, because the value changed.
  virtual void add(Evictable& entry) = 0;
  virtual void touch(Evictable& entry) = 0;
  virtual void remove(Evictable& entry) = 0;
  /// The next to go, never `spared`; null when nothing else is held. The caller removes it.
  virtual Evictable* pick(const Evictable* spared) = 0;
};

std::unique_ptr<EvictionPolicy> make_policy(Eviction policy);

}  // namespace pmt::response_cache
