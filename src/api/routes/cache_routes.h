// Cache 1 over HTTP: GET/PUT/DELETE /v1/cache/entries/{key}, GET and DELETE /v1/cache, GET /v1/cache/export
// and POST /v1/cache/import (JSON lines), POST /v1/cache/flush (answers when all is on the disk).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "api/api.h"
#include "api/background.h"
#include "api/observe/completion_metrics.h"
#include "api/router.h"

namespace pmt::api {

/// Of what a caller stored under `text`. It is never a completion's key, whatever the text: those can be read
/// and deleted by the digest that x-permutation-cache-key shows, but not put.
response_cache::Key key_of(std::string_view text);

/// The live entry under this digest, if `caller` may see it: a look, which counts nothing. Blocks while another
/// server's cache is asked: not for I/O threads.
std::shared_ptr<const response_cache::Entry> seen_by(response_cache::ResponseCache& cache,
                                                     const Caller& caller, const response_cache::Key& key);

/// Who isn't the operator sees and touches its own tenant's entries only, on this server and on those that
/// share: they are marked with the tenant, the keys that it names are hashed together with the tenant, its
/// purges carry the tenant in their filter, and the figures are its own. Import (which could place an answer
/// under anybody's key) and flush are the operator's. All three are kept by reference.
void add_cache_routes(Router& router, const ApiOptions& options, const TenantTallies& tenants,
                      Background& background);

}  // namespace pmt::api
