// A table of wrapped text cells for a terminal of known width. Widths count bytes: cells are ASCII.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pmt::audit {

/// `text` in lines of at most `width`, broken at its newlines, at spaces, else inside a word.
/// Never empty.
std::vector<std::string> wrap(std::string_view text, std::size_t width);

/// Rows of cells in columns of fixed widths, two spaces between columns, no trailing spaces. The first row is
/// the header: a rule follows it. Every row must have widths.size() cells.
std::string text_table(const std::vector<std::size_t>& widths,
                       const std::vector<std::vector<std::string>>& rows);

}  // namespace pmt::audit
