// What stands between a request's body as it came and the JSON that routes read: Content-Encoding is undone,
// a byte order mark skipped, and a body that can't be JSON in UTF-8 is refused for what it is, before a JSON
// parser says something about its first byte. A body that looks like JSON is read whatever its content-type
// says (curl's -d says application/x-www-form-urlencoded). Thread-safety: pure. Cost: that of decoding; else
// nothing that grows with the body.
#pragma once

#include <cstddef>
#include <optional>

#include "net/http.h"

namespace pmt::api {

/// Changes `request.body` to what the route reads. Refusals: 400 (not UTF-8, a damaged encoding), 413 (naming
/// the limit: `bytes_max` or what net/content_coding.h allows), 415 (naming the encoding or the type). They
/// leave the body as it came.
std::optional<net::HttpResponse> prepare_body(net::HttpRequest& request, std::size_t bytes_max);

}  // namespace pmt::api
