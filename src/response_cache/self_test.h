// Proves at start, on a private instance, that cache 1 does its work: the audit's "implemented" column.
#pragma once

#include <optional>
#include <string>

namespace pmt::response_cache {

/// Null when storing, reading, missing, evicting and coalescing all work; else what failed. Under 1 ms.
std::optional<std::string> self_test();

}  // namespace pmt::response_cache
