// POST /v1/models/{name}/load and /unload: of a model that comes on demand. Both are for the operator,
// answer when it is done, with what GET /v1/models/{name} says then, and change nothing where it is so
// already.
#pragma once

#include "api/api.h"
#include "api/router.h"

namespace pmt::api {

/// `options` is kept by reference.
void add_model_routes(Router& router, const ApiOptions& options);

}  // namespace pmt::api
