#include "app/audit_rows.h"

#include "app/config.h"

namespace pmt::app {

namespace {

std::optional<std::string> response_cache_off(base::Surface surface, bool enabled) {
  if (surface == base::Surface::kRlm || surface == base::Surface::kUnified) return "not built yet";
  if (!enabled) return "disabled by config";
  return std::nullopt;
}

}  // namespace

std::vector<audit::CacheRow> audit_rows(const AuditSources& sources) {
  return {
      {.name = "response cache",
       .built = true,
       .self_test = [failure = sources.cache_self_test] { return failure; },
       .usage = sources.cache_usage,
       .counter_name = "response_cache.hits + coalesced",
       .off_reason = [on = sources.cache_enabled](base::Surface s) { return response_cache_off(s, on); },
       .on_by_default = Config{}.cache_enabled},
      {.name = "knowledge cache"},
      {.name = "inference KV compression"},
      {.name = "prompt-lookup speculation"},
      {.name = "prefix reuse"},
  };
}

}  // namespace pmt::app
