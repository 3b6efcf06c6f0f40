// Bytes out of base64 (RFC 4648), padded or not; line ends between its characters are left out.
// Thread-safety: pure. Cost: one pass.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pmt::base {

/// Null: it is none.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace pmt::base
