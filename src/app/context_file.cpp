#include "app/context_file.h"

#include <fmt/format.h>

#include "base/file.h"

namespace pmt::app {

base::Result<std::string> read_context_file(const std::string& file) {
  auto text = base::read_file(file);
  if (!text) return base::Error{base::Code::kIo, fmt::format("can't read the context file {}", file)};
  return text;
}

}  // namespace pmt::app
