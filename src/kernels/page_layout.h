// How one page of keys and values lies in memory, for each codec.
//
// A page holds kPageTokens tokens of one (layer, KV head). kF16, the exact cache:
//   K  [head_dim, kPageTokens]  f16, token fastest: scores of all the page's tokens grow side by side
//                               in vector lanes, with no horizontal sum
//   V  [kPageTokens, head_dim]  f16, dimension fastest: the weighted sum of values grows the same way
// Keys are stored after RoPE. Rows past a sequence's length hold zeros or old finite values, never NaN: the
// kernels multiply them by an exact 0.
//
// kCompact, a quarter of the bytes (note 0005): K and V each rotated by a Hadamard transform with random
// signs, then coded by Lloyd-Max levels for a normal distribution, with one scale a vector:
//   K          [head_dim, 16]                   a nibble a token: token j in the low half, j + 16 in the high
//   V          [kPageTokens, (head_dim - 16)/2] a nibble a dimension, low half first
//   V tail     [kPageTokens, 6]                 the last 16 dimensions: two bits of level each, then 16 signs
//   scales     K [kPageTokens], V [kPageTokens] a byte each, twelve steps an octave
// The last 16 dimensions pay a bit each for the scales: that is what makes the page a quarter exactly.
// A zeroed page has zero scales, so its rows read as exact zeros.
//
// kBytes, half of the bytes (note 0017): the same rotation, then a signed byte an element, of which a step is
// a 32nd of the vector's scale:
//   K  [head_dim, kPageTokens]  as in kF16, and so is V [kPageTokens, head_dim]
// The scale's byte has no room of its own: its bits are the lowest bits of the vector's last eight elements,
// lowest first, which are coded to the nearest number of that parity.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pmt::kernels {

inline constexpr int kPageTokens = 32;

/// Online-softmax partial results are cut at fixed multiples of this many pages (512 tokens), so that an
/// answer's bits don't depend on how the work was split between threads, chunks and batches.
inline constexpr int kSegmentPages = 16;
inline constexpr int kSegmentTokens = kSegmentPages * kPageTokens;

enum class PageCodec : std::uint8_t { kF16, kCompact, kBytes };

/// What the compact codec can hold: its scales need the room that the last 16 dimensions give up.
inline constexpr int kCompactHeadDimMin = 32;
inline constexpr int kCompactTailDims = 16;
inline constexpr int kCompactTailBytes = 6;

constexpr std::size_t compact_page_bytes(int head_dim) {
  return static_cast<std::size_t>(kPageTokens) * static_cast<std::size_t>(head_dim);
}

/// Byte offsets inside a compact page.
struct CompactLayout {
  explicit constexpr CompactLayout(int head_dim)
      : values(16 * head_dim),
        value_tails(values + kPageTokens * (head_dim - kCompactTailDims) / 2),
        key_scales(value_tails + kPageTokens * kCompactTailBytes),
        value_scales(key_scales + kPageTokens) {}
  int values, value_tails, key_scales, value_scales;
};

constexpr std::size_t f16_page_bytes(int head_dim) {
  return 2 * sizeof(std::uint16_t) * static_cast<std::size_t>(kPageTokens) *
         static_cast<std::size_t>(head_dim);
}

/// Of a kBytes page.
inline constexpr int kScaleDims = 8;              // the last ones, whose lowest bits are the scale's
inline constexpr float kStepOfScale = 1.0F / 32;  // so that the largest element is four times the scale

constexpr std::size_t page_bytes(PageCodec codec, int head_dim) {
  switch (codec) {
    case PageCodec::kCompact:
      return compact_page_bytes(head_dim);
    case PageCodec::kBytes:
      return f16_page_bytes(head_dim) / 2;
    case PageCodec::kF16:
      break;
  }
  return f16_page_bytes(head_dim);
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
