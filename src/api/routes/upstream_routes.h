// The servers behind one upstream's name (scope admin; note 0033).
//
//   GET  /v1/upstreams         {"upstreams": [{"name", "balance", "servers": [{"url", "healthy", "draining",
//                              "in_flight", "requests", "failed", "probes", "down_s"}]}]}: those that have several
//   POST /v1/upstreams/drain   {"upstream", "server", "draining": true}: takes a server out without cutting what
//                              runs there, or with false puts it back; answers as GET does
//
// Errors: 400 by name; 404, no such upstream or server, naming those that there are.
#pragma once

#include "api/api.h"
#include "api/router.h"

namespace pmt::api {

/// `options` is kept by reference.
void add_upstream_routes(Router& router, const ApiOptions& options);

}  // namespace pmt::api
