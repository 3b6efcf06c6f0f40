// AVX2: vpmaddubsw multiplies 32 unsigned weight codes with 32 signed activation codes and adds neighbours
// into 16-bit sums, two a weight row. Eight weight rows at a time: half of a packed group.
#include <immintrin.h>

#include <cstring>

#include "kernels/quant_matmul_impl.h"

namespace pmt::kernels {
namespace {

constexpr int kHalf = kPackedRows / 2;

float greatest(__m256 x) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

int sum(__m256i x) {
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 1)));
}

void quantise(const float* x, int rows, int columns, std::ptrdiff_t stride, QuantRows& out) {
  out.resize(rows, columns);
  const auto blocks = static_cast<std::size_t>(columns / kQuantBlock);
  const __m256 no_sign = _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFFFFFF));
  const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // packing works in halves
  std::size_t b = 0;
  for (int r = 0; r < rows; ++r) {
    const float* from = x + r * stride;
    for (std::size_t i = 0; i < blocks; ++i, ++b, from += kQuantBlock) {
      __m256 values[4];
      __m256 most_of = _mm256_setzero_ps();
      for (int k = 0; k < 4; ++k) {
        values[k] = _mm256_loadu_ps(from + 8 * k);
        most_of = _mm256_max_ps(most_of, _mm256_and_ps(values[k], no_sign));
      }
      const float most = greatest(most_of);
      const __m256 inverse = _mm256_set1_ps(most > 0 ? 127.0F / most : 0);
      __m256i codes[4];
      for (int k = 0; k < 4; ++k) codes[k] = _mm256_cvtps_epi32(_mm256_mul_ps(values[k], inverse));
      const __m256i bytes =
          _mm256_packs_epi16(_mm256_packs_epi32(codes[0], codes[1]), _mm256_packs_epi32(codes[2], codes[3]));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out.codes.data() + b * kQuantBlock),
                          _mm256_permutevar8x32_epi32(bytes, in_order));
      out.scales[b] = most / 127.0F;
      out.sums[b] =
          out.scales[b] * static_cast<float>(sum(_mm256_add_epi32(_mm256_add_epi32(codes[0], codes[1]),
                                                                  _mm256_add_epi32(codes[2], codes[3]))));
    }
  }
}

__m256 f16_to_f32(const std::byte* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

__m256i load(const std::byte* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

/// Bit i of `bits` as byte i: 0 or 16.
__m256i sixteens(const std::byte* bits) {
  std::int32_t word = 0;
  std::memcpy(&word, bits, 4);
  const __m256i each =
      _mm256_shuffle_epi8(_mm256_set1_epi32(word),
                          _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303));
  const __m256i bit = _mm256_set1_epi64x(static_cast<std::int64_t>(0x8040201008040201U));
  return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(each, bit), bit), _mm256_set1_epi8(16));
}

/// The dot products of a block's eight weight rows with one activation row. Products of 4-bit codes add up to
/// 30,480 at most in 16 bits, those of 5-bit codes over half a block to 31,496; one of 8-bit codes to 64,770,
/// so there the eighth bit is multiplied apart.
template <int BITS>
__m256i dots(const __m256i* w, const std::int8_t* a) {
  const __m256i ones = _mm256_set1_epi16(1);
  const auto quad = [&](int i) {
    std::int32_t four = 0;
    std::memcpy(&four, a + i * 4, 4);
    return _mm256_set1_epi32(four);
  };
  if constexpr (BITS == 8) {
    const __m256i seven = _mm256_set1_epi8(127);
    const __m256i one = _mm256_set1_epi8(1);
    __m256i low = _mm256_setzero_si256(), high = _mm256_setzero_si256();
    for (int i = 0; i < 8; ++i) {
      const __m256i codes = quad(i);
      low = _mm256_add_epi32(
          low, _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_and_si256(w[i], seven), codes), ones));
      const __m256i eighth = _mm256_and_si256(_mm256_srli_epi16(w[i], 7), one);
      high = _mm256_add_epi16(high, _mm256_maddubs_epi16(eighth, codes));
    }
    return _mm256_add_epi32(low, _mm256_madd_epi16(high, _mm256_set1_epi16(128)));
  } else {
    __m256i first = _mm256_maddubs_epi16(w[0], quad(0));
    __m256i second = _mm256_maddubs_epi16(w[4], quad(4));
    for (int i = 1; i < 4; ++i) {
      first = _mm256_add_epi16(first, _mm256_maddubs_epi16(w[i], quad(i)));
      second = _mm256_add_epi16(second, _mm256_maddubs_epi16(w[i + 4], quad(i + 4)));
    }
    if constexpr (BITS == 4) return _mm256_madd_epi16(_mm256_add_epi16(first, second), ones);
    return _mm256_add_epi32(_mm256_madd_epi16(first, ones), _mm256_madd_epi16(second, ones));
  }
}

struct Avx2 {
  static constexpr int kTileRows = 4;  // what 16 registers hold
  static constexpr int kWeightRows = kHalf;

  template <int ROWS, int BITS>
  static void tile(const PackedMatrix& weights, int weight_row, const QuantRows& x, int row_first, float* out,
                   std::ptrdiff_t stride) {
    const int blocks = weights.columns() / kQuantBlock;
    const int half = weight_row % kPackedRows / kHalf;
    const std::byte* block = weights.group(weight_row / kPackedRows);
    const std::int8_t* codes = x.codes.data() + static_cast<std::ptrdiff_t>(row_first) * x.columns;
    const float* scales = x.scales.data() + static_cast<std::ptrdiff_t>(row_first) * blocks;
    const float* sums = x.sums.data() + static_cast<std::ptrdiff_t>(row_first) * blocks;
    __m256 total[ROWS];
    for (int r = 0; r < ROWS; ++r) total[r] = _mm256_setzero_ps();
    for (int b = 0; b < blocks; ++b) {
      __m256i w[8];
      if constexpr (BITS == 8) {
        for (int i = 0; i < 8; ++i) w[i] = load(block + i * 64 + half * 32);
      } else {
        const __m256i low = _mm256_set1_epi8(15);
        for (int i = 0; i < 4; ++i) {
          const __m256i both = load(block + i * 64 + half * 32);
          w[i] = _mm256_and_si256(both, low);
          w[i + 4] = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
        }
      }
      if constexpr (BITS == 5) {
        for (int i = 0; i < 8; ++i) w[i] = _mm256_or_si256(w[i], sixteens(block + 256 + i * 8 + half * 4));
      }
      constexpr int kCodes = BITS * 64;
      const __m256 scale = f16_to_f32(block + kCodes + half * 16);
      const __m256 minimum = f16_to_f32(block + kCodes + 32 + half * 16);
      for (int r = 0; r < ROWS; ++r) {
        const std::int8_t* a = codes + static_cast<std::ptrdiff_t>(r) * x.columns + b * kQuantBlock;
        const __m256 dot = _mm256_cvtepi32_ps(dots<BITS>(w, a));
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(r) * blocks + b;
        total[r] = _mm256_fmadd_ps(dot, _mm256_mul_ps(scale, _mm256_set1_ps(scales[at])), total[r]);
        total[r] = _mm256_fmadd_ps(minimum, _mm256_set1_ps(sums[at]), total[r]);
      }
      block += weights.block_bytes();
    }
    const int left = weights.rows() - weight_row;
    for (int r = 0; r < ROWS; ++r) {
      float* to = out + (row_first + r) * stride + weight_row;
      if (left >= kHalf) {
        _mm256_storeu_ps(to, total[r]);
      } else {
        float some[kHalf];
        _mm256_storeu_ps(some, total[r]);
        std::memcpy(to, some, static_cast<std::size_t>(left) * sizeof(float));
      }
    }
  }
};

}  // namespace

const QuantMatmul* quant_matmul_avx2() {
  static const QuantMatmul kAvx2{"avx2", quantise, multiply<Avx2>};
  const bool runs =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  return runs ? &kAvx2 : nullptr;
}

}  // namespace pmt::kernels
