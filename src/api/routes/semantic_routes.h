// What people may say of the semantic tier's pairs:
//   GET  /v1/cache/pairs?only=unjudged   the last ones, the latest first: both questions, both answers as far as they
//                                        are known, how like they are, and what became of it; a page has 20
//   POST /v1/cache/pairs/{id}            {"verdict": "same" | "different" | null}
// "different" stops this entry from answering that question, and counts in the tier's figures; null takes it back.
// Who isn't the operator sees and judges its own tenant's. Without a semantic tier: 404.
#pragma once

#include "api/api.h"
#include "api/background.h"
#include "api/router.h"

namespace pmt::api {

/// All are kept by reference.
void add_semantic_routes(Router& router, const ApiOptions& options, Background& background);

}  // namespace pmt::api
