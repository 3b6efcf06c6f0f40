// GET /metrics in Prometheus's text format, every figure read from a live counter at the moment it is asked
// for.
#pragma once

#include "api/api.h"
#include "api/router.h"

namespace pmt::api {

/// `options` and `router` are kept by reference.
void add_metrics_route(Router& router, const ApiOptions& options);

}  // namespace pmt::api
