// How one page of keys and values lies in memory, for the exact (f16) codec.
//
// A page holds kPageTokens consecutive tokens of one (layer, KV head):
//   K  [head_dim, kPageTokens]  f16, token fastest: scores of all the page's tokens grow side by side in
//   vector
//                               lanes, with no horizontal sum
//   V  [kPageTokens, head_dim]  f16, dimension fastest: the weighted sum of values grows the same way
// Keys are stored after RoPE. Rows past a sequence's length hold zeros or old finite values, never NaN: the
// kernels multiply them by an exact 0.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pmt::kernels {

inline constexpr int kPageTokens = 32;

/// Online-softmax partial results are cut at fixed multiples of this many pages (512 tokens), so that an
/// answer's bits don't depend on how the work was split between threads, chunks and batches.
inline constexpr int kSegmentPages = 16;
inline constexpr int kSegmentTokens = kSegmentPages * kPageTokens;

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
