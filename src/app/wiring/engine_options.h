// The engines' own options that requests may carry: one line for each engine. Thread-safety: a pure function.
#pragma once

#include <vector>

#include "llm/engine_options_reader.h"

namespace pmt::app {

/// Also of engines that are switched off: their options are checked and change nothing.
std::vector<llm::EngineOptionsReader> engine_options();

}  // namespace pmt::app
