// An entry outside the process: one JSON object, of which export, import and the disk's records are made. It
// holds all that replays: text, log-probabilities (bytes that are no UTF-8 as {"hex": ...}), tool calls,
// usage, what the engine said of the answer, and what an upstream said beyond that, as JSON text.
// Thread-safety: pure functions. Errors: kCorrupt, naming what is wrong where.
#pragma once

#include <cstdint>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/result.h"
#include "response_cache/store/entry.h"

namespace pmt::response_cache {

/// Of an entry's JSON: what a request or an upstream may nest, and what stands around it here.
inline constexpr std::size_t kEntryDepthMax = base::kJsonDepthMax + 8;

struct OutsideEntry {
  Key key;
  Value value;
  StoreOptions meta;
  std::int64_t stored_unix_s = 0;
};

/// {"tokens", "ttl_s", "tenant", "namespace", "model", "tags", "usd", "compute_s", "stale_s", "made_of", "stored"}
nlohmann::json meta_json(const StoreOptions& meta, std::int64_t stored_unix_s);
base::Status read_meta(const nlohmann::json& json, StoreOptions& meta, std::int64_t& stored_unix_s);

/// {"version", "events": [...]} or {"value": any}. Reads version 1 too; a later one is an error.
nlohmann::json value_json(const Value& value);
base::Result<Value> read_value(const nlohmann::json& json);

/// {"key", "meta", "events" | "value"}
nlohmann::json outside_json(const Key& key, const Entry& entry);
base::Result<OutsideEntry> read_outside(const nlohmann::json& json);

}  // namespace pmt::response_cache
