// POST /v1/chat/completions and POST /v1/completions.
#pragma once

#include "api/api.h"
#include "api/router.h"

namespace pmt::api {

/// `options` is kept by reference.
void add_completion_routes(Router& router, const ApiOptions& options);

}  // namespace pmt::api
