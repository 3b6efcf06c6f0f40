// Whether words that a model quotes stand in a text. Thread-safety: pure functions. Cost: one pass over the
// text.
#pragma once

#include <optional>
#include <string_view>

#include "rlm/passages.h"

namespace pmt::rlm {

/// Where `quote` first stands in `text`, in bytes of it: letters and digits are compared in their order and
/// in lower case, whatever signs and spaces are between them. None: it doesn't, or has neither letter nor
/// digit.
std::optional<Span> find_quote(std::string_view text, std::string_view quote);

}  // namespace pmt::rlm
