// POST /v1/rerank: which documents answer a query best, in the shape of Jina's and Cohere's APIs. The score is the
// cosine of two embeddings of the model that makes them: it orders, and is no probability.
#pragma once

#include "api/router.h"

#include "api/api.h"

namespace pmt::api {

/// `options` must outlive the router.
void add_rerank_routes(Router& router, const ApiOptions& options);

}  // namespace pmt::api
