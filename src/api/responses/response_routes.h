// OpenAI's Responses API: POST /v1/responses (also streamed, in the background, going on from an earlier one)
// and what is kept of it: GET and DELETE /v1/responses/{id}, POST /v1/responses/{id}/cancel,
// GET /v1/responses/{id}/input_items. A tenant has its own.
#pragma once

#include "api/api.h"
#include "api/responses/response_store.h"
#include "api/router.h"

namespace pmt::api {

/// `options` and `store` are kept by reference.
void add_response_routes(Router& router, const ApiOptions& options, ResponseStore& store);

}  // namespace pmt::api
