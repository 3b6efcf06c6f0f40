// AVX2 with FMA and F16C: 8 lanes, 16 registers.
#include <immintrin.h>

#include "kernels/attention_impl.h"

namespace pmt::kernels {
namespace {

/// The bytes of the upper halves of the wide levels.
struct WideBytes {
  alignas(16) std::uint8_t low[16] = {};
  alignas(16) std::uint8_t high[16] = {};
  constexpr WideBytes() {
    for (int i = 0; i < 16; ++i) {
      const auto bits = __builtin_bit_cast(std::uint32_t, kWideTable[i]);
      low[i] = static_cast<std::uint8_t>(bits >> 16);
      high[i] = static_cast<std::uint8_t>(bits >> 24);
    }
  }
};
constexpr WideBytes kWideBytes;

constexpr bool upper_halves_are_all() {
  for (const float level : kWideTable) {
    if ((__builtin_bit_cast(std::uint32_t, level) & 0xffffU) != 0) return false;
  }
  return true;
}
static_assert(upper_halves_are_all(), "load_k4 and load_v4 take the lower half of a level for zero");

// From memory: as an immediate it was built anew for every vector.
alignas(32) constexpr std::uint64_t kNibbles[4] = {0x0f0f0f0f0f0f0f0fU, 0x0f0f0f0f0f0f0f0fU,
                                                   0x0f0f0f0f0f0f0f0fU, 0x0f0f0f0f0f0f0f0fU};

struct Avx2 {
  using Reg = __m256;
  static constexpr int kLanes = 8;
  static constexpr int kScoreRows = 3;  // x 4 vectors: 12 accumulators, 3 broadcasts, 1 key
  static constexpr int kValueRows = 4;  // x 2 vectors: 8 accumulators, 2 values, 4 broadcasts
  static constexpr int kValueVecs = 2;

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

  /// Levels of 32 tokens. Byte shuffles look the two halves of each level's upper 16 bits up; its lower ones
  /// are zeros. Vector v holds tokens 4v to 4v + 3 and, in its upper half, 16 + 4v to 16 + 4v + 3.
  struct K4 {
    __m256i words[2];
  };
  static K4 load_k4(const std::uint8_t* p) {
    const LevelBytes levels =
        look_up(_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
    return {{_mm256_unpacklo_epi8(levels.low, levels.high), _mm256_unpackhi_epi8(levels.low, levels.high)}};
  }
  static Reg level(const K4& k, int v) {
    return v % 2 == 0 ? widen_low(k.words[v / 2]) : widen_high(k.words[v / 2]);
  }
  static void store_k4(float* to, const Reg* k) {
    for (int i = 0; i < 4; i += 2) {
      store(to + 4 * i, _mm256_permute2f128_ps(k[i], k[i + 1], 0x20));
      store(to + 16 + 4 * i, _mm256_permute2f128_ps(k[i], k[i + 1], 0x31));
    }
  }
  /// Levels of 16 dimensions, a nibble each: of every eight, the even ones are in the lower half.
  static void load_v4(const std::uint8_t* nibbles, Reg* x) {
    const LevelBytes levels =
        look_up(_mm256_broadcastq_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(nibbles))));
    const __m256i words = _mm256_unpacklo_epi8(levels.low, levels.high);
    x[0] = widen_low(words);
    x[1] = widen_high(words);
  }
  /// Levels of a tail, in the same order. The lookup sees a bit of the next dimension too: the table repeats.
  static void load_v3(const std::uint8_t* tail, Reg* x) {
    for (int half = 0; half < 2; ++half) {
      std::uint16_t word;
      __builtin_memcpy(&word, tail + half * 2, 2);
      const __m256i codes =
          _mm256_srlv_epi32(_mm256_set1_epi32(word), _mm256_setr_epi32(0, 4, 8, 12, 2, 6, 10, 14));
      const __m256i sign =
          _mm256_and_si256(_mm256_sllv_epi32(_mm256_set1_epi32(tail[4 + half]),
                                             _mm256_setr_epi32(31, 29, 27, 25, 30, 28, 26, 24)),
                           _mm256_set1_epi32(static_cast<int>(0x80000000U)));
      x[half] = _mm256_xor_ps(_mm256_permutevar8x32_ps(_mm256_loadu_ps(kTailTable), codes),
                              _mm256_castsi256_ps(sign));
    }
  }
  static Reg shuffled(Reg x) {
    return _mm256_permutevar8x32_ps(x, _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
  }
  static Reg unshuffled(Reg x) {
    return _mm256_permutevar8x32_ps(x, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  }

 private:
  struct LevelBytes {
    __m256i low;
    __m256i high;
  };
  /// Both halves hold the same bytes: the levels of their low nibbles in the lower half, of the high ones in
  /// the upper.
  static LevelBytes look_up(__m256i bytes) {
    const __m256i nibbles = _mm256_load_si256(reinterpret_cast<const __m256i*>(kNibbles));
    const __m256i codes = _mm256_and_si256(_mm256_srlv_epi64(bytes, _mm256_setr_epi64x(0, 0, 4, 4)), nibbles);
    return {_mm256_shuffle_epi8(table(kWideBytes.low), codes),
            _mm256_shuffle_epi8(table(kWideBytes.high), codes)};
  }
  static __m256i table(const std::uint8_t* of_16) {
    return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(of_16)));
  }
  /// Words to the upper halves of floats.
  static Reg widen_low(__m256i words) {
    return _mm256_castsi256_ps(_mm256_unpacklo_epi16(_mm256_setzero_si256(), words));
  }
  static Reg widen_high(__m256i words) {
    return _mm256_castsi256_ps(_mm256_unpackhi_epi16(_mm256_setzero_si256(), words));
  }
};

constexpr AttentionKernels kTable = Attention<Avx2>::table("avx2");

}  // namespace

const AttentionKernels* attention_kernels_avx2() {
  return &kTable;
}

}  // namespace pmt::kernels
