// The English that rooms work with: data/en/NAME.txt, embedded when the program is built. A line that begins
// with # is a comment. Another language is another folder there, and a choice here.
// Thread-safety: pure functions; the lines live as long as the program. Cost: one pass over the file.
#pragma once

#include <string_view>
#include <vector>

namespace pmt::text {

/// The lines of data/en/NAME.txt, without comments and empty ones. Requires: there is such a file.
std::vector<std::string_view> english(std::string_view name);

}  // namespace pmt::text
