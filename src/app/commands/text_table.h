// A table for a terminal: columns as wide as their widest cell, two spaces between.
#pragma once

#include <string>
#include <vector>

namespace pmt::app {

/// `rows[0]` is the head, underlined. Widths count bytes: cells are ASCII. Ends with a newline.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

/// "93.8 MiB": for people.
std::string human_bytes(double bytes);

}  // namespace pmt::app
