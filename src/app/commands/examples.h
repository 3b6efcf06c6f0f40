// What a command's --help ends with: whole command lines to try. A test parses each of them.
// Thread-safety: one thread.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace pmt::app {

inline void add_examples(CLI::App& command, const std::vector<std::string>& lines) {
  std::string text = "Examples:";
  for (const std::string& line : lines) text += "\n  " + line;
  command.footer(text);
}

}  // namespace pmt::app
