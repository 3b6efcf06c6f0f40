// The request-target of an HTTP request, taken apart and percent-decoded.
#pragma once

#include <string_view>

#include "net/http.h"

namespace pmt::net {

/// Decodes "/v1/a%20b?x=1&y=+" into request->path ("/v1/a b") and request->query ({x, "1"}, {y, " "}).
/// The absolute form (http://host/path) is taken too. False, with `request` in part filled, when a '%' isn't
/// followed by two hex digits or the target is empty.
bool decode_target(std::string_view target, HttpRequest* request);

}  // namespace pmt::net
