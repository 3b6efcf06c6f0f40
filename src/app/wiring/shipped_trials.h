// What cmake/embed.cmake declares the files of data/programs as. Plain data.
#pragma once

#include "text/embedded_file.h"

namespace pmt::app {

using text::EmbeddedFile;

}  // namespace pmt::app
