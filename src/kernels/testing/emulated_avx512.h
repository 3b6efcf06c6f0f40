// AVX-512 by SIMDe, in AVX2's terms, so that a machine without it can test the kernels written for it: included
// before such a source, it takes the intrinsics' names. What SIMDe 0.7.4 lacks follows, element by element.
// Slow; for tests alone.
#pragma once

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx2.h>
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>

// After SIMDe, which includes it where it needs it: here so that the source's own finds it included.
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/f16.h"

namespace pmt::kernels::emulated {

template <class Element, class Register>
struct Lanes {
  Lanes() = default;
  explicit Lanes(const Register& from) { std::memcpy(at, &from, sizeof(from)); }
  Register whole() const {
    Register out;
    std::memcpy(&out, at, sizeof(out));
    return out;
  }
  Element at[sizeof(Register) / sizeof(Element)];
};

inline __m512 cvtph_ps(__m256i halves) {
  const Lanes<std::uint16_t, __m256i> from(halves);
  Lanes<float, __m512> to;
  for (int i = 0; i < 16; ++i) to.at[i] = f16_to_f32(from.at[i]);
  return to.whole();
}

inline __m128i cvtepi32_epi8(__m512i words) {
  const Lanes<std::int32_t, __m512i> from(words);
  Lanes<std::int8_t, __m128i> to;
  for (int i = 0; i < 16; ++i) to.at[i] = static_cast<std::int8_t>(from.at[i]);
  return to.whole();
}

inline __m512i cvtepi8_epi32(__m128i bytes) {
  const Lanes<std::int8_t, __m128i> from(bytes);
  Lanes<std::int32_t, __m512i> to;
  for (int i = 0; i < 16; ++i) to.at[i] = from.at[i];
  return to.whole();
}

inline __m512 cvtepi32_ps(__m512i words) {
  const Lanes<std::int32_t, __m512i> from(words);
  Lanes<float, __m512> to;
  for (int i = 0; i < 16; ++i) to.at[i] = static_cast<float>(from.at[i]);
  return to.whole();
}

inline __m512i cvtps_epi32(__m512 floats) {
  const Lanes<float, __m512> from(floats);
  Lanes<std::int32_t, __m512i> to;
  for (int i = 0; i < 16; ++i) to.at[i] = static_cast<std::int32_t>(std::nearbyint(from.at[i]));
  return to.whole();
}

inline float reduce_max_ps(__m512 floats) {
  const Lanes<float, __m512> from(floats);
  return *std::max_element(from.at, from.at + 16);
}

inline void mask_storeu_ps(float* to, unsigned mask, __m512 floats) {
  const Lanes<float, __m512> from(floats);
  for (int i = 0; i < 16; ++i) {
    if ((mask >> i & 1U) != 0) to[i] = from.at[i];
  }
}

}  // namespace pmt::kernels::emulated

#define _mm512_cvtph_ps pmt::kernels::emulated::cvtph_ps
#define _mm512_cvtepi32_epi8 pmt::kernels::emulated::cvtepi32_epi8
#define _mm512_cvtepi8_epi32 pmt::kernels::emulated::cvtepi8_epi32
#define _mm512_cvtepi32_ps pmt::kernels::emulated::cvtepi32_ps
#define _mm512_cvtps_epi32 pmt::kernels::emulated::cvtps_epi32
#define _mm512_reduce_max_ps pmt::kernels::emulated::reduce_max_ps
#define _mm512_mask_storeu_ps pmt::kernels::emulated::mask_storeu_ps
#define _cvtu64_mask64(bits) (bits)
// The CPU need not have what is emulated.
#define __builtin_cpu_supports(what) true
#define quant_matmul_vnni quant_matmul_vnni_emulated
