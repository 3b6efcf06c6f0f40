// From what a person names (a catalogue name, a file, or a pulled model's name or source) to a file that can be
// loaded, and the name that it is served by. A file that the catalogue knows has the catalogue's name, any other its
// stem in lower case.
// Thread-safety: any thread. Errors: kNotFound or kInvalidArgument; each says what to do: the names that there
// are, or the command that installs a model.
#pragma once

#include <string>

#include "base/result.h"

namespace pmt::engine {

struct ModelFile {
  std::string name = {};
  std::string path = {};
};

/// `spec`, as --model takes it, is a source (model_source.h), a path if it has a '/' or ends in .gguf, or a name.
ModelFile model_from_spec(const std::string& spec);

/// A model that writes. `named` has a path or a name, either of which may be a source; with both, the name is what the file is
/// served by. Whether the file is there is seen when it is loaded.
base::Result<ModelFile> find_model(const ModelFile& named);

/// A model that embeds: `named`'s file, else the catalogue's, under `named`'s name if it has one.
base::Result<ModelFile> find_embedder(const ModelFile& named);

}  // namespace pmt::engine
