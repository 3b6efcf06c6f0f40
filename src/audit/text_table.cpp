#include "audit/text_table.h"

#include <algorithm>

#include "base/check.h"

namespace pmt::audit {
namespace {

void append_row(std::string& out, const std::vector<std::size_t>& widths,
                const std::vector<std::string>& cells) {
  CHECK(cells.size() == widths.size());
  std::vector<std::vector<std::string>> wrapped;
  std::size_t height = 0;
  for (std::size_t c = 0; c < cells.size(); ++c) {
    wrapped.push_back(wrap(cells[c], widths[c]));
    height = std::max(height, wrapped.back().size());
  }
  for (std::size_t y = 0; y < height; ++y) {
    std::string line;
    for (std::size_t c = 0; c < cells.size(); ++c) {
      const std::string piece = y < wrapped[c].size() ? wrapped[c][y] : "";
      line += piece + std::string(widths[c] - piece.size() + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
}

}  // namespace

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
  CHECK(width > 0);
  std::vector<std::string> lines;
  for (std::size_t end; (end = text.find('\n')) != std::string_view::npos; text.remove_prefix(end + 1)) {
    for (std::string& line : wrap(text.substr(0, end), width)) lines.push_back(std::move(line));
  }
  while (text.size() > width) {
    // A space just past the line's end is a break too: the line is then exactly full.
    std::size_t cut = text.substr(0, width + 1).rfind(' ');
    const bool in_word = cut == std::string_view::npos || cut == 0;
    if (in_word) cut = width;
    lines.emplace_back(text.substr(0, cut));
    text.remove_prefix(in_word ? cut : cut + 1);
  }
  lines.emplace_back(text);
  return lines;
}

std::string text_table(const std::vector<std::size_t>& widths,
                       const std::vector<std::vector<std::string>>& rows) {
  std::string out;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    append_row(out, widths, rows[r]);
    if (r > 0) continue;
    std::vector<std::string> rules;
    for (const std::size_t width : widths) rules.emplace_back(width, '-');
    append_row(out, widths, rules);
  }
  return out;
}

}  // namespace pmt::audit
