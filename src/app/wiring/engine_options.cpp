#include "app/wiring/engine_options.h"

#include "inference/options_reader.h"
#include "knowledge_cache/options_reader.h"
#include "pipeline/options_reader.h"
#include "rlm/options_reader.h"

namespace pmt::app {

std::vector<llm::EngineOptionsReader> engine_options() {
  return {
      rlm::options_reader(),
      pipeline::options_reader(),
      knowledge_cache::options_reader(),
      knowledge_cache::facts_options_reader(),
      inference::options_reader(),
  };
}

}  // namespace pmt::app
