// What the server says about itself: GET /health, /v1/models, /v1/models/{name}, /v1/kv, /v1/audit.
#pragma once

#include "api/api.h"
#include "api/router.h"

namespace pmt::api {

/// `options` is kept by reference.
void add_status_routes(Router& router, const ApiOptions& options);

}  // namespace pmt::api
