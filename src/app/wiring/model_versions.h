// What of a local model decides its answers beside the request: it goes into the response cache's key, so that a cache on
// disk or in Redis never replays what another file, or the same one otherwise configured, once said.
// Thread-safety: any thread.
#pragma once

#include <nlohmann/json.hpp>

#include "inference/local_model.h"

namespace pmt::app {

/// Those of its options that decide answers and aren't as by default; null where all are.
nlohmann::json answer_settings(const inference::LocalModelOptions& model);

/// The same with its file, by base::fingerprint_of_file: for a model that stays loaded. Cost: reads 33 MiB.
nlohmann::json model_versions(const inference::LocalModelOptions& model);

}  // namespace pmt::app
