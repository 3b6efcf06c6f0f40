// Cache 1 over HTTP: GET/PUT/DELETE /v1/cache/entries/{key}, GET and DELETE /v1/cache, GET /v1/cache/export
// and POST /v1/cache/import (JSON lines), POST /v1/cache/flush (answers when all is on the disk).
#pragma once

#include <string>
#include <string_view>

#include "api/api.h"
#include "api/completion_metrics.h"
#include "api/router.h"

namespace pmt::api {

/// A key of 64 hex digits is the digest itself, as x-permutation-cache-key gives it; any other string is
/// hashed.
response_cache::Key key_of(std::string_view text);

/// Who isn't the operator sees and touches its own tenant's entries only: they are marked with the tenant,
/// the keys that it names are hashed together with the tenant, and the figures are its own. Import (which
/// could place an answer under anybody's key) and flush are the operator's. `options` and `tenants` are kept
/// by reference.
void add_cache_routes(Router& router, const ApiOptions& options, const TenantTallies& tenants);

}  // namespace pmt::api
