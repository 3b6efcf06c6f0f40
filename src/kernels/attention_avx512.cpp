// AVX-512F: 16 lanes, 32 registers.
#include <immintrin.h>

#include "kernels/attention_impl.h"

namespace pmt::kernels {
namespace {

struct Avx512 {
  using Reg = __m512;
  static constexpr int kLanes = 16;
  static constexpr int kScoreRows = 8;  // x 2 vectors: 16 accumulators, 2 keys, 1 broadcast
  static constexpr int kValueRows = 6;  // x 4 vectors: 24 accumulators, 4 values, 1 broadcast
  static constexpr int kValueVecs = 4;

  static Reg load(const float* p) { return _mm512_loadu_ps(p); }
  static Reg load(const std::uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Reg load(const std::int8_t* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static void store(float* p, Reg x) { _mm512_storeu_ps(p, x); }
  static Reg broadcast(float x) { return _mm512_set1_ps(x); }
  static Reg fma(Reg a, Reg b, Reg c) { return _mm512_fmadd_ps(a, b, c); }
  static Reg mul(Reg a, Reg b) { return _mm512_mul_ps(a, b); }
  static Reg add(Reg a, Reg b) { return _mm512_add_ps(a, b); }
  static Reg sub(Reg a, Reg b) { return _mm512_sub_ps(a, b); }
  static Reg max(Reg a, Reg b) { return _mm512_max_ps(a, b); }
  static float reduce_max(Reg x) { return _mm512_reduce_max_ps(x); }
  static float reduce_add(Reg x) { return _mm512_reduce_add_ps(x); }

  /// e^x for x <= 0, as 2^n * P(f), |f| <= 1/2: within 2 units in the last place; 0 below -87.
  static Reg exp(Reg x) {
    const Reg n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504F)), 8);
    Reg r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693145752F), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(1.42860677e-6F), r);
    Reg p = _mm512_set1_ps(1.98756989e-4F);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.39819994e-3F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.33345205e-3F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.16657962e-2F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.66666657e-1F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5F));
    p = _mm512_fmadd_ps(_mm512_mul_ps(r, r), p, _mm512_add_ps(r, _mm512_set1_ps(1.0F)));
    const __mmask16 alive = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.0F), _CMP_GE_OQ);
    return _mm512_maskz_scalef_ps(alive, p, n);
  }
  static float exp_scalar(float x) { return _mm512_cvtss_f32(exp(_mm512_set1_ps(x))); }
  static std::uint16_t to_f16(float x) { return static_cast<std::uint16_t>(_cvtss_sh(x, 0)); }
  static float from_f16(std::uint16_t x) { return _cvtsh_ss(x); }

  /// Codes of 32 tokens, in the low and the next four bits of each lane: table lookups see no more.
  using K4 = __m512i;
  static K4 load_k4(const std::uint8_t* p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Reg level(K4 codes, int v) {
    return _mm512_permutexvar_ps(v == 0 ? codes : _mm512_srli_epi32(codes, 4), _mm512_loadu_ps(kWideTable));
  }
  static void store_k4(float* to, const Reg* k) {
    store(to, k[0]);
    store(to + kLanes, k[1]);
  }
  /// Levels of 16 dimensions, a nibble each.
  static void load_v4(const std::uint8_t* nibbles, Reg* x) {
    std::uint32_t words[2];
    __builtin_memcpy(words, nibbles, 8);
    const __m512i codes =
        _mm512_srlv_epi32(_mm512_mask_set1_epi32(_mm512_set1_epi32(static_cast<int>(words[0])), 0xff00,
                                                 static_cast<int>(words[1])),
                          _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28));
    *x = _mm512_permutexvar_ps(codes, _mm512_loadu_ps(kWideTable));
  }
  /// Levels of a tail. The lookup sees two bits of the next dimension too: the table repeats.
  static void load_v3(const std::uint8_t* tail, Reg* levels) {
    std::uint32_t word;
    std::uint16_t negative;
    __builtin_memcpy(&word, tail, 4);
    __builtin_memcpy(&negative, tail + 4, 2);
    const __m512i shifts = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i codes = _mm512_srlv_epi32(_mm512_set1_epi32(static_cast<int>(word)), shifts);
    const __m512i x = _mm512_castps_si512(_mm512_permutexvar_ps(codes, _mm512_loadu_ps(kTailTable)));
    *levels = _mm512_castsi512_ps(
        _mm512_mask_xor_epi32(x, negative, x, _mm512_set1_epi32(static_cast<int>(0x80000000U))));
  }
  static Reg shuffled(Reg x) { return x; }
  static Reg unshuffled(Reg x) { return x; }
};

constexpr AttentionKernels kTable = Attention<Avx512>::table("avx512");

}  // namespace

const AttentionKernels* attention_kernels_avx512() {
  return &kTable;
}

}  // namespace pmt::kernels
