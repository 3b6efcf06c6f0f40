// Reads `permutation.documents` and `permutation.facts` (llm/engine_options_reader.h) into DocumentRequest and FactRequest.
// Of its own, since it needs the parser of JSON from outside, and the cache doesn't.
#pragma once

#include "llm/engine_options_reader.h"

namespace pmt::knowledge_cache {

llm::EngineOptionsReader options_reader();
llm::EngineOptionsReader facts_options_reader();

}  // namespace pmt::knowledge_cache
