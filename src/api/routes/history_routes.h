// GET /v1/history?range=1h|24h|7d|30d: what happened when, for the page's curves. Needs `admin`: it is of all tenants.
#pragma once

#include "api/observe/history.h"
#include "api/observe/history_sampler.h"
#include "api/router.h"

namespace pmt::api {

/// Both are kept by reference.
void add_history_route(Router& router, const History& history, HistorySampler& sampler);

}  // namespace pmt::api
