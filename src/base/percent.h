// Percent-encoding, as URLs have it (RFC 3986, 2.1). Thread-safety: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pmt::base {

struct PercentOptions {
  bool plus_is_space = false;  // as in a form's query
};

/// Null where a '%' isn't followed by two hex digits.
std::optional<std::string> percent_decoded(std::string_view text, PercentOptions options = {});

}  // namespace pmt::base
