// JSON Schema's formats of strings as patterns (regex.h). What a pattern allows is always of the format; some
// of what a format allows is left out (other years than 1000 to 9999, comments in addresses, host names in
// other letters than ASCII's). Thread-safety: constants.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pmt::model {

/// A pattern of whole texts; null for a format that isn't known.
std::optional<std::string> pattern_of_format(std::string_view format);

}  // namespace pmt::model
