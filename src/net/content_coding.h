// Bodies that come compressed (Content-Encoding): gzip by zlib, deflate in zlib's format as RFC 9110 has it,
// and zstd with a window of up to 8 MiB (RFC 9659). Thread-safety: pure functions. Cost: about 3 ms a MiB of
// output for gzip, 1 ms for zstd; the result in memory.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pmt::net {

inline constexpr std::string_view kContentCodings = "gzip, deflate, zstd";

/// Whether decode_content() knows `coding` (any case; "x-gzip" is gzip).
bool is_content_coding(std::string_view coding);

/// What `body` says. It stops as soon as the output passes `bytes_max`, or 1 MiB and 100 times what came: a
/// small body may not cost its reader what only a large one could. Requires: is_content_coding(coding).
/// Errors: kTooLarge, naming the limit; kInvalidArgument, a body that is cut off, damaged or something else.
base::Result<std::string> decode_content(std::string_view coding, std::string_view body,
                                         std::size_t bytes_max);

}  // namespace pmt::net
