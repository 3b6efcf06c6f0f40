// The request-target of an HTTP request, taken apart and percent-decoded.
#pragma once

#include <optional>
#include <string_view>

#include "net/http.h"

namespace pmt::net {

/// Decodes "/v1/a%20b?x=1&y=+" into request->path ("/v1/a b") and request->query ({x, "1"}, {y, " "}).
/// The absolute form (http://host/path) is taken too. False, with `request` in part filled, when a '%' isn't
/// followed by two hex digits or the target is empty.
bool decode_target(std::string_view target, HttpRequest* request);

/// The host (and port, and whatever else stands there) of the absolute form; nothing of any other form.
std::optional<std::string_view> target_authority(std::string_view target);

}  // namespace pmt::net
