// What a cache entry is: a value, where it came from and what computing it cost. Plain data.
#pragma once

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

struct Entry {
  Value value;
  StoreOptions meta;
  base::Nanos stored_at{0};
  std::int64_t stored_unix_s = 0;
  std::size_t bytes = 0;
};

/// Shared, and never changed once it is stored: a value being read outlives its eviction.
using EntryPtr = std::shared_ptr<const Entry>;

}  // namespace pmt::response_cache
