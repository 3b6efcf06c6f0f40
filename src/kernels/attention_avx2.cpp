// AVX2 with FMA and F16C: 8 lanes, 16 registers.
#include <immintrin.h>

#include "kernels/attention_impl.h"

namespace pmt::kernels {
namespace {

struct Avx2 {
  using Reg = __m256;
  static constexpr int kLanes = 8;
  static constexpr int kScoreRows = 2;  // x 4 vectors: 8 accumulators, 4 keys, 1 broadcast
  static constexpr int kValueRows = 2;  // x 4 vectors: 8 accumulators, 4 values, 1 broadcast
  static constexpr int kValueVecs = 4;

  static Reg load(const float* p) { return _mm256_loadu_ps(p); }
  static Reg load(const std::uint16_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Reg load(const std::int8_t* p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  static void store(float* p, Reg x) { _mm256_storeu_ps(p, x); }
  static Reg broadcast(float x) { return _mm256_set1_ps(x); }
  static Reg fma(Reg a, Reg b, Reg c) { return _mm256_fmadd_ps(a, b, c); }
  static Reg mul(Reg a, Reg b) { return _mm256_mul_ps(a, b); }
  static Reg add(Reg a, Reg b) { return _mm256_add_ps(a, b); }
  static Reg sub(Reg a, Reg b) { return _mm256_sub_ps(a, b); }
  static Reg max(Reg a, Reg b) { return _mm256_max_ps(a, b); }
  static float reduce_max(Reg x) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
  }
  static float reduce_add(Reg x) {
    __m128 m = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    m = _mm_add_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_add_ss(m, _mm_movehdup_ps(m)));
  }

  /// e^x for x <= 0, as in the AVX-512 kernel; 2^n is built in the exponent bits.
  static Reg exp(Reg x) {
    const Reg n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504F)), 8);
    Reg r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693145752F), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(1.42860677e-6F), r);
    Reg p = _mm256_set1_ps(1.98756989e-4F);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.39819994e-3F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(8.33345205e-3F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(4.16657962e-2F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.66666657e-1F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5F));
    p = _mm256_fmadd_ps(_mm256_mul_ps(r, r), p, _mm256_add_ps(r, _mm256_set1_ps(1.0F)));
    const __m256i power =
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    const Reg alive = _mm256_cmp_ps(x, _mm256_set1_ps(-87.0F), _CMP_GE_OQ);
    return _mm256_and_ps(alive, _mm256_mul_ps(p, _mm256_castsi256_ps(power)));
  }
  static float exp_scalar(float x) { return _mm256_cvtss_f32(exp(_mm256_set1_ps(x))); }
  static std::uint16_t to_f16(float x) { return static_cast<std::uint16_t>(_cvtss_sh(x, 0)); }
  static float from_f16(std::uint16_t x) { return _cvtsh_ss(x); }

  /// Levels of 32 tokens: table lookups on the low three bits of each lane, the fourth is the sign.
  static void load_k4(const std::uint8_t* p, Reg* k) {
    for (int half = 0; half < 2; ++half) {
      const __m256i codes =
          _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + half * 8)));
      k[half] = wide_level(codes);
      k[2 + half] = wide_level(_mm256_srli_epi32(codes, 4));
    }
  }
  static Reg wide_level(__m256i codes) {
    const Reg size = _mm256_permutevar8x32_ps(_mm256_loadu_ps(kWideTable), codes);
    const __m256i sign = _mm256_slli_epi32(_mm256_and_si256(codes, _mm256_set1_epi32(8)), 28);
    return _mm256_xor_ps(size, _mm256_castsi256_ps(sign));
  }
  /// Levels of dimensions d to d + 7, a nibble each.
  static Reg load_v4(const std::uint8_t* nibbles, int d) {
    std::uint32_t word;
    __builtin_memcpy(&word, nibbles + d / 2, 4);
    return wide_level(_mm256_srlv_epi32(_mm256_set1_epi32(static_cast<int>(word)),
                                        _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28)));
  }
  /// Levels of 8 dimensions of a tail. The lookup sees a bit of the next dimension too: the table repeats.
  static Reg load_v3(const std::uint8_t* tail, int d) {
    std::uint16_t word;
    __builtin_memcpy(&word, tail + d / 4, 2);
    const __m256i codes =
        _mm256_srlv_epi32(_mm256_set1_epi32(word), _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14));
    const __m256i sign =
        _mm256_and_si256(_mm256_sllv_epi32(_mm256_set1_epi32(tail[4 + d / 8]),
                                           _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24)),
                         _mm256_set1_epi32(static_cast<int>(0x80000000U)));
    return _mm256_xor_ps(_mm256_permutevar8x32_ps(_mm256_loadu_ps(kTailTable), codes),
                         _mm256_castsi256_ps(sign));
  }
};

constexpr AttentionKernels kTable = Attention<Avx2>::table("avx2");

}  // namespace

const AttentionKernels* attention_kernels_avx2() {
  return &kTable;
}

}  // namespace pmt::kernels
