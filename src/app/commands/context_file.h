// The file of `--context`, for the commands that take one.
#pragma once

#include <string>

#include "base/result.h"

namespace pmt::app {

/// Errors: as base::read_file.
base::Result<std::string> read_context_file(const std::string& file);

}  // namespace pmt::app
