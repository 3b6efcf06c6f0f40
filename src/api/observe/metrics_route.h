// GET /metrics in Prometheus's text format, every figure read from a live counter at the moment it is asked
// for.
#pragma once

#include "api/api.h"
#include "api/observe/completion_metrics.h"
#include "api/responses/response_store.h"
#include "api/router.h"

namespace pmt::api {

/// All are kept by reference.
void add_metrics_route(Router& router, const ApiOptions& options, const CompletionMetrics& completions,
                       const ResponseStore& responses);

}  // namespace pmt::api
