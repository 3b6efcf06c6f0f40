// A moment's checks, for the audit, that this build's pages hold what was put in them.
// Thread-safety: any. Cost of each: under a millisecond, 2 MiB for its duration.
#pragma once

#include <optional>
#include <string>

namespace pmt::kv_cache {

/// Random keys and values are attended to exact and compact, and the two answers and sizes compared. What
/// failed, or nullopt.
std::optional<std::string> self_test();

/// A prefix is found again, answers as the sequence that read it, stays as it was when a request that goes on
/// from it writes, and gives its pages back. What failed, or nullopt.
std::optional<std::string> prefix_self_test();

}  // namespace pmt::kv_cache
