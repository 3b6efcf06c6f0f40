// A moment's check, for the audit, that this build's compressed pages hold what was put in them: random keys
// and values are attended to exact and compact, and the two answers and sizes compared. Thread-safety: any.
#pragma once

#include <optional>
#include <string>

namespace pmt::kv_cache {

/// What failed, or nullopt. Cost: under a millisecond, 2 MiB for its duration.
std::optional<std::string> self_test();

}  // namespace pmt::kv_cache
