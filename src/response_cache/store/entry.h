// What a cache entry is: a value, where it came from and what computing it cost. Plain data.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/hash.h"
#include "llm/event.h"

namespace pmt::response_cache {

using Key = base::Digest;

/// A completed answer, as the events that were sent: replays as SSE or JSON. Ends with Done.
struct RecordedAnswer {
  std::vector<llm::Event> events;
};

/// What an entry holds: a model's answer, or any JSON computed by a caller.
struct Value {
  std::variant<RecordedAnswer, nlohmann::json> content;
};

struct StoreOptions {
  std::int64_t tokens = 0;  // what computing the value cost, by the model's own tokenizer
  bool reusable = true;     // false: kept out of the cache, the call counts as refused
  std::optional<double> ttl_s = {};
  std::string tenant = {};  // whose it is: nobody else may see it
  std::string name_space = {};
  std::string model = {};
  std::vector<std::string> tags = {};
  std::string question = {};        // of the semantic tier: what was asked,
  std::string semantic_scope = {};  // and the hash of everything else; "" if it is not in that tier
  double usd = 0;                   // what computing it cost
  double compute_s = 0;             // how long it took
  double stale_s = 0;               // how long after ttl_s it may still be given while it is refreshed
  /// Entries whose answers this one was made of: an engine's own calls.
  std::vector<Key> made_of = {};
  bool engine_call =
      false;  // who stores it is an engine, for a call of its own: for the counters, kept nowhere
};

/// Counts on in an entry that is otherwise never changed. Thread-safety: any thread.
class HitCount {
 public:
  HitCount() = default;
  HitCount(const HitCount& other) : count_(other.get()) {}
  HitCount& operator=(const HitCount& other) {
    count_.store(other.get(), std::memory_order_relaxed);
    return *this;
  }
  void add() const { count_.fetch_add(1, std::memory_order_relaxed); }
  std::uint64_t get() const { return count_.load(std::memory_order_relaxed); }

 private:
  mutable std::atomic<std::uint64_t> count_{0};
};

struct Entry {
  Value value;
  StoreOptions meta;
  base::Nanos stored_at{0};
  std::int64_t stored_unix_s = 0;
  std::size_t bytes = 0;
  HitCount hits;  // clients' lookups that it answered since it is in memory; kept nowhere else
};

/// Shared, and never changed once it is stored, but for its hits: a value being read outlives its eviction.
using EntryPtr = std::shared_ptr<const Entry>;

}  // namespace pmt::response_cache
