// The sessions of `rlm` (scope inference; note 0054). A tenant has its own.
//
//   GET    /v1/rlm/sessions       {"object": "list", "data": [{"id", "object", "turns", "contexts", "bytes", "repl", "busy",
//                                 "idle_s"}]}; of a busy one bytes alone are told
//   DELETE /v1/rlm/sessions/{id}  {"id", "object", "deleted"}
//
// Errors: 404, no such session of this tenant; 409, a request of it is being answered.
#pragma once

#include "api/api.h"
#include "api/router.h"

namespace pmt::api {

/// `options` is kept by reference.
void add_rlm_session_routes(Router& router, const ApiOptions& options);

}  // namespace pmt::api
