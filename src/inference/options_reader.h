// Reads `permutation.decoding` (llm/engine_options_reader.h) into DecodingRequest. Of its own, since it needs the parser
// of JSON from outside, and nothing else here does.
#pragma once

#include "llm/engine_options_reader.h"

namespace pmt::inference {

llm::EngineOptionsReader options_reader();

}  // namespace pmt::inference
