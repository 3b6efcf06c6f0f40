// POST /v1/embeddings, as OpenAI's: `input` is a string, an array of strings, of token ids, or of arrays of
// token ids; `encoding_format` float or base64 (little-endian f32); `dimensions` below the model's own keeps
// the first so many and makes their length 1 again (the model was not trained for it: a coarser vector).
#pragma once

#include "api/api.h"
#include "api/router.h"

namespace pmt::api {

/// `options` is kept by reference.
void add_embedding_routes(Router& router, const ApiOptions& options);

}  // namespace pmt::api
