// A moment's check, for the audit, that this build's compact pages hold what was put in them.
// Thread-safety: any. Cost: under a millisecond, 2 MiB for its duration.
#pragma once

#include <optional>
#include <string>

namespace pmt::compression {

/// Random keys and values are attended to exact and compact, and the two answers and sizes compared. What
/// failed, or nullopt.
std::optional<std::string> self_test();

}  // namespace pmt::compression
