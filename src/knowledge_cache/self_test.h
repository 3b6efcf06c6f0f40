// The audit's question to the knowledge cache: does what it is made of work here and now? Teaches a fact to a
// domain in memory, asks for it, for a sibling and for a stranger, writes the pack and reads it back, damages
// it, forgets. Thread-safety: any thread. Cost: a millisecond.
#pragma once

#include <optional>
#include <string>

namespace pmt::knowledge_cache {

/// What failed; null when nothing did.
std::optional<std::string> self_test();

}  // namespace pmt::knowledge_cache
