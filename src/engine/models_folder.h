// A folder of models, each to be served by a name: every GGUF in it and one level below, where the folders
// that `models pull` makes lie. Files and folders whose name begins with a dot are left out. Thread-safety:
// any thread. Errors: kInvalidArgument, there is no such folder or it can't be read.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "engine/model_files.h"

namespace pmt::engine {

/// By name. A pulled model has the name that it was pulled under, any other that of find_model. Two of one
/// name: both.
base::Result<std::vector<ModelFile>> models_in(const std::string& folder);

}  // namespace pmt::engine
