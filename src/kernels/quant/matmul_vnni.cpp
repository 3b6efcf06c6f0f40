// AVX-512 with VNNI: vpdpbusd multiplies 64 unsigned weight codes with 64 signed activation codes and adds
// them by fours into 16 sums, one a weight row.
#include <immintrin.h>

#include <cstring>

#include "kernels/quant/avx512_blocks.h"
#include "kernels/quant/matmul_impl.h"

namespace pmt::kernels {
namespace {

constexpr int kChunkBytes = 192 << 10;

/// The sums of 16 bytes each: in the first and in the fifth element.
__m256i half_sums(__m256i bytes) {
  const __m256i quads = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), bytes);
  const __m256i eights = _mm256_add_epi32(quads, _mm256_shuffle_epi32(quads, 0x4E));
  return _mm256_add_epi32(eights, _mm256_shuffle_epi32(eights, 0xB1));
}

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
      const __m256i bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm512_cvtepi32_epi8(low_codes)),
                                                    _mm512_cvtepi32_epi8(high_codes), 1);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out.codes.data() + b * kQuantBlock), bytes);
      const __m256i sums = half_sums(bytes);
      const int first = _mm256_extract_epi32(sums, 0);
      const int second = _mm256_extract_epi32(sums, 4);
      out.scales[b] = most / 127.0F;
      out.sums[b] = out.scales[b] * static_cast<float>(first + second);
      out.zeros[2 * b] = -32 * first;
      out.zeros[2 * b + 1] = -32 * second;
    }
  }
}

__m512i quad_of(const std::int8_t* codes, int i) {
  std::int32_t four = 0;
  std::memcpy(&four, codes + i * 4, 4);
  return _mm512_set1_epi32(four);
}

struct Vnni {
  static constexpr int kTileRows = 8;
  static constexpr int kWeightRows = kPackedRows;

  template <int ROWS, QuantFormat FORMAT>
  static void tile(const PackedMatrix& weights, int weight_row, const QuantRows& x, int row_first, float* out,
                   std::ptrdiff_t stride) {
    constexpr QuantShape kShape = quant_shape(FORMAT);
    const TileRows rows(x, row_first);
    const std::byte* super = weights.group(weight_row / kPackedRows);
    Scales<FORMAT> scales;
    __m512 total[ROWS];
    for (int r = 0; r < ROWS; ++r) total[r] = _mm512_setzero_ps();
    for (int b = 0; b < rows.blocks; super += kShape.packed_bytes()) {
      scales.enter(super);
      for (int i = 0; i < kShape.blocks; ++i, ++b) {
        __m512i w[8];
        fetch_ahead(super + i * kShape.bytes_a_block(), kShape.bytes_a_block());
        unpack<FORMAT>(super + i * kShape.code_bytes(), w);
        __m512 first, second;
        scales.next(first, second);
        for (int r = 0; r < ROWS; ++r) total[r] = add_block<FORMAT>(w, first, second, rows, r, b, total[r]);
      }
    }
    const int left = weights.rows() - weight_row;
    const auto mask = static_cast<__mmask16>(left >= kPackedRows ? 0xFFFF : (1 << left) - 1);
    for (int r = 0; r < ROWS; ++r)
      _mm512_mask_storeu_ps(out + (row_first + r) * stride + weight_row, mask, total[r]);
  }

  /// Two sums: a dot product waits for the one before into the same register.
  template <QuantFormat FORMAT>
  [[gnu::always_inline]] static inline __m512 add_block(const __m512i* w, __m512 first, __m512 second,
                                                        const TileRows& rows, int row, int block,
                                                        __m512 total) {
    constexpr bool kTwice = quant_shape(FORMAT).scales == QuantScales::kEightTwice;
    const std::ptrdiff_t at = rows.index(row, block);
    const std::int8_t* a = rows.codes + at * kQuantBlock;
    __m512i low = kTwice ? _mm512_set1_epi32(rows.zeros[2 * at]) : _mm512_setzero_si512();
    __m512i high = kTwice ? _mm512_set1_epi32(rows.zeros[2 * at + 1]) : _mm512_setzero_si512();
    for (int i = 0; i < 4; ++i) {
      low = _mm512_dpbusd_epi32(low, w[i], quad_of(a, i));
      high = _mm512_dpbusd_epi32(high, w[i + 4], quad_of(a, i + 4));
    }
    const __m512 scale = _mm512_set1_ps(rows.scales[at]);
    if constexpr (kTwice) {
      const __m512 sum = _mm512_mul_ps(_mm512_cvtepi32_ps(low), first);
      return _mm512_fmadd_ps(_mm512_fmadd_ps(_mm512_cvtepi32_ps(high), second, sum), scale, total);
    } else {
      const __m512 dot = _mm512_cvtepi32_ps(_mm512_add_epi32(low, high));
      total = _mm512_fmadd_ps(dot, _mm512_mul_ps(first, scale), total);
      return _mm512_fmadd_ps(second, _mm512_set1_ps(rows.sums[at]), total);
    }
  }
};

}  // namespace

const QuantMatmul* quant_matmul_vnni() {
  static const QuantMatmul kVnni{"avx512-vnni", kChunkBytes, quantise, multiply<Vnni>};
  const bool runs = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
  return runs ? &kVnni : nullptr;
}

}  // namespace pmt::kernels
