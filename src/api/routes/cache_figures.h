// What the response cache counts, as GET /v1/cache says it to the operator and the page's snapshots repeat it: one
// object for both, so that they can't differ. docs/observability.md says what each figure is.
// Thread-safety: any thread. Cost: a lock of each shard, and the disk's figures.
#pragma once

#include <nlohmann/json.hpp>

#include "api/api.h"
#include "api/observe/completion_metrics.h"

namespace pmt::api {

/// Requires options.cache.
nlohmann::json cache_figures(const ApiOptions& options, const TenantTallies& tenants);

}  // namespace pmt::api
