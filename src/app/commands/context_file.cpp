#include "app/commands/context_file.h"

#include <fmt/format.h>

#include "base/file.h"

namespace pmt::app {

base::Result<std::string> read_context_file(const std::string& file) {
  auto text = base::read_text_file(file);
  if (text && !text->empty()) return text;
  base::Error error =
      text ? base::Error{base::Code::kInvalidArgument, fmt::format("{} is empty", file)} : text.error();
  error.message = "--context: " + error.message;
  return error;
}

base::Status check_question(const std::string& question) {
  const std::size_t good = base::utf8_bytes(question);
  if (good == question.size()) return {};
  return base::invalid(
      fmt::format("QUESTION is no text in UTF-8 (byte {}): is the terminal's locale another one?", good + 1));
}

}  // namespace pmt::app
