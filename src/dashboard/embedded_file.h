// A file of the page, inside the binary: by its name without the ending.
#pragma once

#include <cstddef>

namespace pmt::dashboard {

struct EmbeddedFile {
  const char* name;
  const char* bytes;
  std::size_t size;
};

}  // namespace pmt::dashboard
