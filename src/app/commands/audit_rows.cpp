#include "app/commands/audit_rows.h"

#include "app/config/config.h"

namespace pmt::app {

namespace {

bool rlm_off(base::Surface surface, bool rlm_enabled) {
  return !rlm_enabled && (surface == base::Surface::kRlm || surface == base::Surface::kUnified);
}

std::optional<std::string> response_cache_off(base::Surface surface, bool enabled, bool rlm_enabled) {
  if (rlm_off(surface, rlm_enabled)) return "rlm is disabled by config";
  if (!enabled) return "disabled by config";
  return std::nullopt;
}

/// Others have it: we count what they say of it.
std::optional<std::string> prompt_cache_off(base::Surface surface, bool upstreams, bool rlm_enabled) {
  if (!upstreams) return "no upstream";
  return rlm_off(surface, rlm_enabled) ? std::optional<std::string>("rlm is disabled by config")
                                       : std::nullopt;
}

/// The local engine serves everything that is on.
std::optional<std::string> engine_off(base::Surface surface, bool rlm_enabled) {
  if (rlm_off(surface, rlm_enabled)) return "rlm is disabled by config";
  return std::nullopt;
}

/// What needs our pages.
std::optional<std::string> pages_off(base::Surface surface, const AuditSources& sources) {
  if (sources.pages_off) return sources.pages_off;
  return engine_off(surface, sources.rlm_enabled);
}

std::optional<std::string> disk_off(base::Surface surface, const AuditSources& sources) {
  if (!sources.prefix_disk) return "no [prefixes] path";
  return pages_off(surface, sources);
}

}  // namespace

std::vector<audit::CacheRow> audit_rows(const AuditSources& sources) {
  return {
      {.name = "response cache",
       .built = true,
       .self_test = [failure = sources.cache_self_test] { return failure; },
       .usage = sources.cache_usage,
       .counter_name = "response_cache.hits + coalesced",
       .off_reason = [on = sources.cache_enabled,
                      rlm = sources.rlm_enabled](base::Surface s) { return response_cache_off(s, on, rlm); },
       .on_by_default = Config{}.cache_enabled},
      {.name = "knowledge cache",
       .built = true,
       .self_test = [failure = sources.knowledge_self_test] { return failure; },
       .usage = sources.knowledge_usage,
       .counter_name = "engine.knowledge_facts_recalled",
       .off_reason = [rlm = sources.rlm_enabled](base::Surface s) { return engine_off(s, rlm); },
       .on_by_default = true},
      {.name = "inference KV compression",
       .built = true,
       .self_test = [failure = sources.compression_self_test] { return failure; },
       .usage = sources.compression_usage,
       .counter_name = "engine.compressed",
       .off_reason = [sources](base::Surface s) { return pages_off(s, sources); },
       .on_by_default = ModelConfig{}.kv_ratio > 1,
       .concerns = !sources.pages_off},
      {.name = "prompt-lookup speculation",
       .built = true,
       .self_test = [failure = sources.speculation_self_test] { return failure; },
       .usage = sources.speculation_usage,
       .counter_name = "engine.accepted",
       .off_reason = [sources](base::Surface s) { return pages_off(s, sources); },
       .on_by_default = true,
       .concerns = !sources.pages_off},
      {.name = "prefix reuse",
       .built = true,
       .self_test = [failure = sources.prefix_self_test] { return failure; },
       .usage = sources.prefix_usage,
       .counter_name = "engine.prefix_hits",
       .off_reason = [rlm = sources.rlm_enabled](base::Surface s) { return engine_off(s, rlm); },
       .on_by_default = ModelConfig{}.prefix_bytes > 0},
      {.name = "prefixes on disk",
       .built = true,
       .self_test = [failure = sources.prefix_self_test] { return failure; },
       .usage = sources.prefix_disk_usage,
       .counter_name = "engine.prefix_disk_hits",
       .off_reason = [sources](base::Surface s) { return disk_off(s, sources); },
       .on_by_default = false,
       .concerns = sources.prefix_disk && !sources.pages_off},
      {.name = "provider prompt cache",
       .built = true,
       .self_test = [failure = sources.prompt_cache_self_test] { return failure; },
       .usage = sources.prompt_cache_usage,
       .counter_name = "provider.answers_hit",
       .off_reason = [any = sources.upstreams,
                      rlm = sources.rlm_enabled](base::Surface s) { return prompt_cache_off(s, any, rlm); },
       .on_by_default = true,
       .concerns = sources.upstreams},
  };
}

}  // namespace pmt::app
