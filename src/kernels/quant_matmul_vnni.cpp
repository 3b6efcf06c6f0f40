// AVX-512 with VNNI: vpdpbusd multiplies 64 unsigned weight codes with 64 signed activation codes and adds
// them by fours into 16 sums, one a weight row.
#include <immintrin.h>

#include <cstring>

#include "kernels/quant_matmul_impl.h"

namespace pmt::kernels {
namespace {

void quantise(const float* x, int rows, int columns, std::ptrdiff_t stride, QuantRows& out) {
  out.resize(rows, columns);
  const auto blocks = static_cast<std::size_t>(columns / kQuantBlock);
  std::size_t b = 0;
  for (int r = 0; r < rows; ++r) {
    const float* from = x + r * stride;
    for (std::size_t i = 0; i < blocks; ++i, ++b, from += kQuantBlock) {
      const __m512 low = _mm512_loadu_ps(from);
      const __m512 high = _mm512_loadu_ps(from + 16);
      const float most = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(low), _mm512_abs_ps(high)));
      const __m512 inverse = _mm512_set1_ps(most > 0 ? 127.0F / most : 0);
      const __m512i low_codes = _mm512_cvtps_epi32(_mm512_mul_ps(low, inverse));
      const __m512i high_codes = _mm512_cvtps_epi32(_mm512_mul_ps(high, inverse));
      auto* to = reinterpret_cast<__m128i*>(out.codes.data() + b * kQuantBlock);
      _mm_storeu_si128(to, _mm512_cvtepi32_epi8(low_codes));
      _mm_storeu_si128(to + 1, _mm512_cvtepi32_epi8(high_codes));
      out.scales[b] = most / 127.0F;
      out.sums[b] = out.scales[b] *
                    static_cast<float>(_mm512_reduce_add_epi32(_mm512_add_epi32(low_codes, high_codes)));
    }
  }
}

__m512 f16_to_f32(const std::byte* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

struct Vnni {
  static constexpr int kTileRows = 8;
  static constexpr int kWeightRows = kPackedRows;

  template <int ROWS, int BITS>
  static void tile(const PackedMatrix& weights, int weight_row, const QuantRows& x, int row_first, float* out,
                   std::ptrdiff_t stride) {
    const int blocks = weights.columns() / kQuantBlock;
    const std::byte* block = weights.group(weight_row / kPackedRows);
    const std::int8_t* codes = x.codes.data() + static_cast<std::ptrdiff_t>(row_first) * x.columns;
    const float* scales = x.scales.data() + static_cast<std::ptrdiff_t>(row_first) * blocks;
    const float* sums = x.sums.data() + static_cast<std::ptrdiff_t>(row_first) * blocks;
    __m512 total[ROWS];
    for (int r = 0; r < ROWS; ++r) total[r] = _mm512_setzero_ps();
    for (int b = 0; b < blocks; ++b) {
      __m512i w[8];
      if constexpr (BITS == 8) {
        for (int i = 0; i < 8; ++i) w[i] = _mm512_loadu_si512(block + i * 64);
      } else {
        const __m512i low = _mm512_set1_epi8(15);
        for (int i = 0; i < 4; ++i) {
          const __m512i both = _mm512_loadu_si512(block + i * 64);
          w[i] = _mm512_and_si512(both, low);
          w[i + 4] = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
        }
      }
      if constexpr (BITS == 5) {
        const __m512i fifth = _mm512_set1_epi8(16);
        for (int i = 0; i < 8; ++i) {
          std::uint64_t bits;
          std::memcpy(&bits, block + 256 + i * 8, 8);
          w[i] = _mm512_mask_add_epi8(w[i], _cvtu64_mask64(bits), w[i], fifth);
        }
      }
      constexpr int kCodes = BITS * 64;
      const __m512 scale = f16_to_f32(block + kCodes);
      const __m512 minimum = f16_to_f32(block + kCodes + 32);
      for (int r = 0; r < ROWS; ++r) {
        const std::int8_t* a = codes + static_cast<std::ptrdiff_t>(r) * x.columns + b * kQuantBlock;
        // Two sums: a dot product waits for the one before into the same register.
        __m512i even = _mm512_setzero_si512();
        __m512i odd = _mm512_setzero_si512();
        for (int i = 0; i < 8; i += 2) {
          std::int32_t first;
          std::int32_t second;
          std::memcpy(&first, a + i * 4, 4);
          std::memcpy(&second, a + i * 4 + 4, 4);
          even = _mm512_dpbusd_epi32(even, w[i], _mm512_set1_epi32(first));
          odd = _mm512_dpbusd_epi32(odd, w[i + 1], _mm512_set1_epi32(second));
        }
        const __m512 dot = _mm512_cvtepi32_ps(_mm512_add_epi32(even, odd));
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(r) * blocks + b;
        total[r] = _mm512_fmadd_ps(dot, _mm512_mul_ps(scale, _mm512_set1_ps(scales[at])), total[r]);
        total[r] = _mm512_fmadd_ps(minimum, _mm512_set1_ps(sums[at]), total[r]);
      }
      block += weights.block_bytes();
    }
    const int left = weights.rows() - weight_row;
    const auto mask = static_cast<__mmask16>(left >= kPackedRows ? 0xFFFF : (1 << left) - 1);
    for (int r = 0; r < ROWS; ++r)
      _mm512_mask_storeu_ps(out + (row_first + r) * stride + weight_row, mask, total[r]);
  }
};

}  // namespace

const QuantMatmul* quant_matmul_vnni() {
  static const QuantMatmul kVnni{"avx512-vnni", quantise, multiply<Vnni>};
  const bool runs = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
  return runs ? &kVnni : nullptr;
}

}  // namespace pmt::kernels
