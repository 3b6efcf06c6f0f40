// SHA-256 for keys that must never collide, by OpenSSL.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace pmt::base {

/// A SHA-256 digest: a type of its own, so that a truncated or textual key can't be passed for one.
struct Digest {
  std::array<std::uint8_t, 32> bytes{};
  friend auto operator<=>(const Digest&, const Digest&) = default;
  std::string hex() const;
  /// Null unless `text` is 64 hex digits, of either case.
  static std::optional<Digest> of_hex(std::string_view text);
};

Digest sha256(std::string_view bytes);  // any thread; throws where OpenSSL was built without the algorithm

/// For hash maps: a digest's bytes are already uniform.
struct DigestHash {
  std::size_t operator()(const Digest& d) const noexcept {
    std::size_t h;
    std::memcpy(&h, d.bytes.data(), sizeof h);
    return h;
  }
};

}  // namespace pmt::base
