// AVX-512 with VNNI: vpdpbusd multiplies 64 unsigned weight codes with 64 signed activation codes and adds
// them by fours into 16 sums, one a weight row.
#include <immintrin.h>

#include <cstring>

#include "kernels/quant/avx512_blocks.h"
#include "kernels/quant/matmul_impl.h"

namespace pmt::kernels {
namespace {

constexpr int kChunkBytes = 192 << 10;

void quantise(const float* x, int rows, int columns, std::ptrdiff_t stride, QuantRows& out) {
  out.resize(rows, columns);
  quantise_rows<false>(x, rows, columns, stride, out);
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
