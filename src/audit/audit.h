// "Are we really using all our KV caches, and where?", answered from live counters. The README and docs/observability.md show one.
// Thread-safety: build_audit may be called from any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/usage_counter.h"

namespace pmt::audit {

/// One row's sources. The audit reads them when asked, and holds nothing of its own.
struct CacheRow {
  std::string name;                                            // "response cache", ...
  bool built = false;                                          // false: every cell says "off: not built yet"
  std::function<std::optional<std::string>()> self_test = {};  // nullopt: passed; else what failed
  const base::UsageCounter* usage = nullptr;
  std::string counter_name = {};  // where `used N` comes from, e.g. "response_cache.hits"
  /// For one surface: nullopt if this cache is on there, else why it is off ("disabled by config", ...).
  std::function<std::optional<std::string>(base::Surface)> off_reason = {};
  bool on_by_default = false;
  bool concerns = true;  // false: nothing that is configured could use it, so the verdict isn't about it
};

struct Cell {
  std::string state;  // "used", "enabled, unused", "off: reason"
  std::uint64_t count = 0;
  std::int64_t last_used_unix_s = 0;
};

struct RowResult {
  std::string name;
  std::string counter_name;
  std::string implemented;  // "yes", "no: not built yet", "no: self-test failed: ..."
  Cell cells[base::kSurfaces];
  base::ByUser<base::UsageCounter::Cells>::Tallies users;  // what the cells are the sums of
  bool concerns = true;
  bool production_ready = false;
  std::vector<std::string> missing;
};

struct Audit {
  std::string verdict;  // one sentence
  std::vector<RowResult> rows;
};

/// Runs each built row's self-test and reads its counters.
Audit build_audit(const std::vector<CacheRow>& rows);

/// The table for people: at most kTextColumns wide, the verdict below it.
inline constexpr int kTextColumns = 120;
std::string to_text(const Audit& audit);

/// What GET /v1/audit answers (the OpenAPI document has its shape), and beside it "counter" (where the counts come from) and,
/// where "implemented" is false, "why". "last_used" is in Unix seconds, null when never.
nlohmann::json to_json(const Audit& audit);

}  // namespace pmt::audit
