// How one page of keys and values lies in memory, for each codec.
//
// A page holds kPageTokens tokens of one (layer, KV head). kF16, the exact cache:
//   K  [head_dim, kPageTokens]  f16, token fastest: scores of all the page's tokens grow side by side in
//   vector
//                               lanes, with no horizontal sum
//   V  [kPageTokens, head_dim]  f16, dimension fastest: the weighted sum of values grows the same way
// Keys are stored after RoPE. Rows past a sequence's length hold zeros or old finite values, never NaN: the
// kernels multiply them by an exact 0.
//
// kCompact, a quarter of the bytes (note 0005): K and V each rotated by a Hadamard transform with random
// signs, then coded by Lloyd-Max levels for a normal distribution, with one f16 scale a vector:
//   K         [head_dim, 16]            a nibble a token: token j in the low half, j + 16 in the high half
//   V level   [kPageTokens, head_dim/4] two bits a dimension, low bits first
//   V sign    [kPageTokens, head_dim/8] one bit a dimension
//   scales    K [kPageTokens] f16, V [kPageTokens] f16
// A zeroed page has zero scales, so its rows read as exact zeros.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pmt::kernels {

inline constexpr int kPageTokens = 32;

/// Online-softmax partial results are cut at fixed multiples of this many pages (512 tokens), so that an
/// answer's bits don't depend on how the work was split between threads, chunks and batches.
inline constexpr int kSegmentPages = 16;
inline constexpr int kSegmentTokens = kSegmentPages * kPageTokens;

enum class PageCodec : std::uint8_t { kF16, kCompact };

/// What the compact codec can hold: its scales need the room that 4 bits a dimension leave.
inline constexpr int kCompactHeadDimMin = 32;

constexpr std::size_t compact_page_bytes(int head_dim) {
  return static_cast<std::size_t>(kPageTokens) * static_cast<std::size_t>(head_dim);
}

/// Byte offsets inside a compact page.
struct CompactLayout {
  explicit constexpr CompactLayout(int head_dim)
      : value_levels(16 * head_dim),
        value_signs(value_levels + kPageTokens * head_dim / 4),
        key_scales(value_signs + kPageTokens * head_dim / 8),
        value_scales(key_scales + kPageTokens * 2) {}
  int value_levels, value_signs, key_scales, value_scales;
};

constexpr std::size_t f16_page_bytes(int head_dim) {
  return 2 * sizeof(std::uint16_t) * static_cast<std::size_t>(kPageTokens) *
         static_cast<std::size_t>(head_dim);
}

inline std::uint16_t* f16_page_keys(std::byte* page) {
  return reinterpret_cast<std::uint16_t*>(page);
}
inline const std::uint16_t* f16_page_keys(const std::byte* page) {
  return reinterpret_cast<const std::uint16_t*>(page);
}
inline std::uint16_t* f16_page_values(std::byte* page, int head_dim) {
  return f16_page_keys(page) + static_cast<std::ptrdiff_t>(kPageTokens) * head_dim;
}
inline const std::uint16_t* f16_page_values(const std::byte* page, int head_dim) {
  return f16_page_keys(page) + static_cast<std::ptrdiff_t>(kPageTokens) * head_dim;
}

}  // namespace pmt::kernels
