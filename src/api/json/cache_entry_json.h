// A cache entry's JSON, both ways.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "response_cache/disk/disk_store.h"
#include "response_cache/response_cache.h"
#include "response_cache/semantic/semantic_tier.h"
#include "response_cache/shared/shared_store.h"

namespace pmt::api {

struct PutEntry {
  nlohmann::json value;
  response_cache::StoreOptions options;
};

/// {"value": any JSON, "tokens", "reusable", "ttl_s", "tags", "namespace", "model", "usd"}; only value is
/// required. Errors: kInvalidArgument naming the field, an unknown one included.
base::Result<PutEntry> parse_entry(const std::string& body);

/// `now`: for the entry's age. A recorded answer shows as {"choices", "usage"}.
nlohmann::json entry_json(const response_cache::Key& key, const response_cache::Entry& entry,
                          base::Nanos now);

/// A line of the operator's list: entry_json's without its value, but with the tenant and the beginning of
/// what it holds: the text of an answer's first choice, or else the value's JSON. A tenant's value may have
/// any shape.
nlohmann::json listed_json(nlohmann::json entry, const response_cache::StoreOptions& meta);

/// {"lookups", "hits": {"exact", "semantic", "stale", "coalesced"}, "misses", "hit_rate", ..., "engine_calls"}: all but
/// what is kept.
nlohmann::json stats_json(const response_cache::Stats& stats);

/// GET /v1/cache's "shared"
nlohmann::json shared_json(const response_cache::SharedStats& stats);

/// How far an invalidation came, in the answer to it.
nlohmann::json invalidation_json(const response_cache::InvalidationReport& reach);

/// GET /v1/cache's "semantic". `hits`: as the cache counted them, engines' own calls included.
nlohmann::json semantic_json(const response_cache::SemanticStats& stats, std::uint64_t hits);

/// GET /v1/cache's "disk"
nlohmann::json disk_json(const response_cache::DiskStats& stats);

}  // namespace pmt::api
