// What cmake/embed.cmake declares the files of data/calibrations as. Plain data.
#pragma once

#include "text/embedded_file.h"

namespace pmt::engine {

using text::EmbeddedFile;

}  // namespace pmt::engine
