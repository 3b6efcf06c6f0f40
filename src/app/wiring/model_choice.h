// From configuration to the options that local models are loaded with (engine/model_files.h finds the files).
// Thread-safety: any thread.
#pragma once

#include <string>
#include <vector>

#include "app/config/config.h"
#include "base/result.h"
#include "inference/local_embedder.h"
#include "inference/local_model.h"

namespace pmt::app {

/// `spec` of --model: a path if it has a '/' or ends in .gguf, else a catalogue name.
ModelConfig model_from_spec(const std::string& spec);

/// The catalogue's default.
ModelConfig default_model_config();

/// What to load. Errors: a name that the catalogue lacks, a model that isn't installed (says how to install it).
base::Result<inference::LocalModelOptions> resolve_model(const ModelConfig& model);

/// All of them; the default model when `models` is empty. Errors also: two of one name, or an engine's name.
base::Result<std::vector<inference::LocalModelOptions>> resolve_models(
    const std::vector<ModelConfig>& models);

/// The one of a command's --model; "": the default.
base::Result<inference::LocalModelOptions> resolve_spec(const std::string& spec);

/// The embedding model: the catalogue's, or the config's file. Errors: it isn't there.
base::Result<inference::LocalEmbedderOptions> resolve_embedder(const EmbeddingsConfig& config);

}  // namespace pmt::app
