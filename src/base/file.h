// Whole files. Thread-safety: any thread. Errors: kIo, naming the file and the system's reason.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace pmt::base {

Result<std::string> read_file(const std::string& path);

/// The file is the old one or the new one, whatever happens: written beside it, on the disk, then moved into
/// its place. Errors: the old one is untouched, and nothing is left beside it.
Status replace_file(const std::string& path, std::string_view bytes);

}  // namespace pmt::base
