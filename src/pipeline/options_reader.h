// Reads `permutation.unified` (llm/engine_options_reader.h) into a UnifiedRequest. Of its own, since it needs the
// parser of JSON from outside, and the pipeline doesn't.
#pragma once

#include "llm/engine_options_reader.h"

namespace pmt::pipeline {

llm::EngineOptionsReader options_reader();

}  // namespace pmt::pipeline
