// A moment's check, for the audit, that this build's prefixes hold what was put in them.
// Thread-safety: any. Cost: under a millisecond, 2 MiB for its duration.
#pragma once

#include <optional>
#include <string>

namespace pmt::kv_cache {

/// A prefix is found again, answers as the sequence that read it, stays as it was when a request that goes on
/// from it writes, and gives its pages back. What failed, or nullopt.
std::optional<std::string> prefix_self_test();

}  // namespace pmt::kv_cache
