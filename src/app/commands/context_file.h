// The question and the file of `--context`, for the commands that take them.
#pragma once

#include <string>

#include "base/result.h"

namespace pmt::app {

/// Errors: as base::read_text_file; it is empty.
base::Result<std::string> read_context_file(const std::string& file);

/// Errors: it isn't UTF-8.
base::Status check_question(const std::string& question);

}  // namespace pmt::app
