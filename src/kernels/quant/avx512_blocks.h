// What the kernels with vectors of 64 bytes share: a block's weight codes and scales unpacked. Included by
// one .cpp per instruction set, each compiled with its own flags, so everything is in an unnamed namespace,
// as in matmul_impl.h. Requires AVX-512 with BW, VL and VNNI.
#pragma once

#include <immintrin.h>

#include <cstring>

#include "kernels/quant/format.h"

namespace pmt::kernels {
namespace {

__m512 f16_to_f32(const std::byte* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

/// A block's sixteen weight rows, four columns a register.
template <QuantFormat FORMAT>
[[gnu::always_inline]] inline void unpack(const std::byte* codes, __m512i* w) {
  constexpr QuantShape kShape = quant_shape(FORMAT);
  if constexpr (kShape.bits == 8) {
    for (int i = 0; i < 8; ++i) w[i] = _mm512_loadu_si512(codes + i * 64);
    return;
  }
  const __m512i low = _mm512_set1_epi8(15);
  for (int i = 0; i < 4; ++i) {
    const __m512i both = _mm512_loadu_si512(codes + i * 64);
    w[i] = _mm512_and_si512(both, low);
    w[i + 4] = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
  }
  if constexpr (kShape.table) {
    const __m512i values =
        _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(kIq4Values)));
    for (int i = 0; i < 8; ++i) w[i] = _mm512_shuffle_epi8(values, w[i]);
  }
  if constexpr (kShape.bits == 5) {
    const __m512i fifth = _mm512_set1_epi8(16);
    for (int i = 0; i < 8; ++i) {
      std::uint64_t bits = 0;
      std::memcpy(&bits, codes + 256 + i * 8, 8);
      w[i] = _mm512_mask_add_epi8(w[i], _cvtu64_mask64(bits), w[i], fifth);
    }
  }
  if constexpr (kShape.bits == 6) {
    const __m512i upper = _mm512_set1_epi8(0x30);
    for (int i = 0; i < 8; i += 4) {
      const __m512i pairs = _mm512_loadu_si512(codes + 256 + i * 16);
      w[i] = _mm512_or_si512(w[i], _mm512_and_si512(_mm512_slli_epi16(pairs, 4), upper));
      w[i + 1] = _mm512_or_si512(w[i + 1], _mm512_and_si512(_mm512_slli_epi16(pairs, 2), upper));
      w[i + 2] = _mm512_or_si512(w[i + 2], _mm512_and_si512(pairs, upper));
      w[i + 3] = _mm512_or_si512(w[i + 3], _mm512_and_si512(_mm512_srli_epi16(pairs, 2), upper));
    }
  }
}

/// The scales of sixteen weight rows, super-block by super-block.
template <QuantFormat FORMAT>
class Scales {
 public:
  static constexpr QuantShape kShape = quant_shape(FORMAT);

  [[gnu::always_inline]] inline void enter(const std::byte* super) {
    at_ = super + kShape.scales_at();
    const std::byte* header = super + kShape.header_at();
    if constexpr (kShape.header_bytes() > 0) unit_ = f16_to_f32(header);
    if constexpr (kShape.scales == QuantScales::kSixMin)
      unit_min_ = _mm512_sub_ps(_mm512_setzero_ps(), f16_to_f32(header + 32));
  }

  /// The next block's: its scale and its minimum; of kEightTwice its two scales.
  [[gnu::always_inline]] inline void next(__m512& first, __m512& second) {
    if constexpr (kShape.scales == QuantScales::kHalf || kShape.scales == QuantScales::kHalfMin)
      first = f16_to_f32(at_);
    if constexpr (kShape.scales == QuantScales::kHalfMin) second = f16_to_f32(at_ + 32);
    if constexpr (kShape.scales == QuantScales::kSix)
      first = in_units(_mm512_sub_epi32(six(at_), _mm512_set1_epi32(32)));
    if constexpr (kShape.scales == QuantScales::kSixMin) {
      first = in_units(six(at_));
      second = _mm512_mul_ps(unit_min_, _mm512_cvtepi32_ps(six(at_ + 12)));
    }
    if constexpr (kShape.scales == QuantScales::kEightTwice) {
      first = in_units(eight(at_));
      second = in_units(eight(at_ + 16));
    }
    if constexpr (kShape.scales == QuantScales::kHalf || kShape.scales == QuantScales::kSix)
      second = _mm512_mul_ps(first, _mm512_set1_ps(static_cast<float>(-kShape.zero)));
    at_ += kShape.scale_bytes();
  }

 private:
  __m512 in_units(__m512i codes) const { return _mm512_mul_ps(unit_, _mm512_cvtepi32_ps(codes)); }

  static __m512i six(const std::byte* p) {
    std::int64_t low = 0;
    std::int32_t upper = 0;
    std::memcpy(&low, p, 8);
    std::memcpy(&upper, p + 8, 4);
    const __m512i low_shift = _mm512_setr_epi32(0, 0, 4, 4, 8, 8, 12, 12, 16, 16, 20, 20, 24, 24, 28, 28);
    const __m512i upper_shift = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i lows =
        _mm512_and_si512(_mm512_srlv_epi32(_mm512_set1_epi64(low), low_shift), _mm512_set1_epi32(15));
    const __m512i uppers =
        _mm512_and_si512(_mm512_srlv_epi32(_mm512_set1_epi32(upper), upper_shift), _mm512_set1_epi32(3));
    return _mm512_or_si512(lows, _mm512_slli_epi32(uppers, 4));
  }

  static __m512i eight(const std::byte* p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }

  const std::byte* at_ = nullptr;
  __m512 unit_ = _mm512_setzero_ps(), unit_min_ = _mm512_setzero_ps();
};

}  // namespace
}  // namespace pmt::kernels
