// Cache 1 over HTTP: GET/PUT/DELETE /v1/cache/entries/{key}, GET and DELETE /v1/cache, GET /v1/cache/export
// and POST /v1/cache/import (JSON lines), POST /v1/cache/flush (answers when all is on the disk).
#pragma once

#include <string_view>

#include "api/api.h"
#include "api/router.h"

namespace pmt::api {

/// A key of 64 hex digits is the digest itself, as x-permutation-cache-key gives it; any other string is
/// hashed.
response_cache::Key key_of(std::string_view text);

/// `options` is kept by reference.
void add_cache_routes(Router& router, const ApiOptions& options);

}  // namespace pmt::api
