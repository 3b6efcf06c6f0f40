// A file of data/en as the build embeds it (cmake/embed.cmake). Thread-safety: plain data.
#pragma once

#include <cstddef>

namespace pmt::text {

struct EmbeddedFile {
  const char* name;  // without ".txt"
  const char* bytes;
  std::size_t size;
};

}  // namespace pmt::text
