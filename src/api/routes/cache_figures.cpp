#include "api/routes/cache_figures.h"

#include "api/json/cache_entry_json.h"

namespace pmt::api {

nlohmann::json cache_figures(const ApiOptions& options, const TenantTallies& tenants) {
  const response_cache::ResponseCache& cache = *options.cache;
  const response_cache::Tiers& tiers = cache.tiers();
  const response_cache::Stats counted = cache.stats();
  const response_cache::Tiers::Kept kept = tiers.kept();
  nlohmann::json out = stats_json(counted);
  out["entries"] = kept.entries;
  out["bytes"] = kept.bytes;
  out["ram"] = {{"entries", counted.entries}, {"bytes", counted.bytes}};
  out["token_hit_rate"] = tenants.all().token_hit_rate();
  if (options.semantic != nullptr)
    out["semantic"] = semantic_json(options.semantic->stats(), counted.semantic + counted.engine.semantic);
  if (const auto disk = tiers.disk_stats()) out["disk"] = disk_json(*disk);
  if (tiers.shared() != nullptr) out["shared"] = shared_json(tiers.shared()->stats());
  return out;
}

}  // namespace pmt::api
