#include "app/commands/context_file.h"

#include "base/file.h"

namespace pmt::app {

base::Result<std::string> read_context_file(const std::string& file) {
  auto text = base::read_file(file);
  if (text) return text;
  base::Error error = text.error();
  error.message = "--context: " + error.message;
  return error;
}

}  // namespace pmt::app
