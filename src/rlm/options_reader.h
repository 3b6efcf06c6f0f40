// Reads `permutation.rlm` (llm/engine_options_reader.h) into an RlmRequest. Of its own, since it needs the parser of
// JSON from outside, and the engine doesn't.
#pragma once

#include "llm/engine_options_reader.h"

namespace pmt::rlm {

llm::EngineOptionsReader options_reader();

}  // namespace pmt::rlm
