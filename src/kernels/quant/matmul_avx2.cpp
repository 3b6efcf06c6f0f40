// AVX2: vpmaddubsw multiplies 32 unsigned weight codes with 32 signed activation codes and adds neighbours
// into 16-bit sums, two a weight row. Eight weight rows at a time: half of a packed group.
#include <immintrin.h>

#include <cstring>

#include "kernels/quant/matmul_impl.h"

namespace pmt::kernels {
namespace {

constexpr int kChunkBytes = 192 << 10;

constexpr int kHalf = kPackedRows / 2;

float greatest(__m256 x) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

/// The sums of 16 bytes each: in the first and in the fifth element.
__m256i half_sums(__m256i bytes) {
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
  const __m256i quads = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  const __m256i eights = _mm256_add_epi32(quads, _mm256_shuffle_epi32(quads, 0x4E));
  return _mm256_add_epi32(eights, _mm256_shuffle_epi32(eights, 0xB1));
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
      const __m256i bytes = _mm256_permutevar8x32_epi32(
          _mm256_packs_epi16(_mm256_packs_epi32(codes[0], codes[1]), _mm256_packs_epi32(codes[2], codes[3])),
          in_order);
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

/// A block's eight weight rows, four columns a register.
template <QuantFormat FORMAT>
[[gnu::always_inline]] inline void unpack(const std::byte* block, int half, __m256i* w) {
  constexpr QuantShape kShape = quant_shape(FORMAT);
  const std::byte* codes = block + half * 32;
  if constexpr (kShape.bits == 8) {
    for (int i = 0; i < 8; ++i) w[i] = load(codes + i * 64);
    return;
  }
  const __m256i low = _mm256_set1_epi8(15);
  for (int i = 0; i < 4; ++i) {
    const __m256i both = load(codes + i * 64);
    w[i] = _mm256_and_si256(both, low);
    w[i + 4] = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
  }
  if constexpr (kShape.table) {
    const __m256i values =
        _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(kIq4Values)));
    for (int i = 0; i < 8; ++i) w[i] = _mm256_shuffle_epi8(values, w[i]);
  }
  if constexpr (kShape.bits == 5) {
    for (int i = 0; i < 8; ++i) w[i] = _mm256_or_si256(w[i], sixteens(block + 256 + i * 8 + half * 4));
  }
  if constexpr (kShape.bits == 6) {
    const __m256i upper = _mm256_set1_epi8(0x30);
    for (int i = 0; i < 8; i += 4) {
      const __m256i pairs = load(codes + 256 + i * 16);
      w[i] = _mm256_or_si256(w[i], _mm256_and_si256(_mm256_slli_epi16(pairs, 4), upper));
      w[i + 1] = _mm256_or_si256(w[i + 1], _mm256_and_si256(_mm256_slli_epi16(pairs, 2), upper));
      w[i + 2] = _mm256_or_si256(w[i + 2], _mm256_and_si256(pairs, upper));
      w[i + 3] = _mm256_or_si256(w[i + 3], _mm256_and_si256(_mm256_srli_epi16(pairs, 2), upper));
    }
  }
}

/// The scales of eight weight rows, super-block by super-block.
template <QuantFormat FORMAT>
class Scales {
 public:
  static constexpr QuantShape kShape = quant_shape(FORMAT);

  explicit Scales(int half)
      : half_(half),
        low_shift_(
            _mm256_add_epi32(_mm256_setr_epi32(0, 0, 4, 4, 8, 8, 12, 12), _mm256_set1_epi32(16 * half))),
        upper_shift_(
            _mm256_add_epi32(_mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14), _mm256_set1_epi32(16 * half))) {}

  [[gnu::always_inline]] inline void enter(const std::byte* super) {
    at_ = super + kShape.scales_at();
    const std::byte* header = super + kShape.header_at() + half_ * 16;
    if constexpr (kShape.header_bytes() > 0) unit_ = f16_to_f32(header);
    if constexpr (kShape.scales == QuantScales::kSixMin)
      unit_min_ = _mm256_sub_ps(_mm256_setzero_ps(), f16_to_f32(header + 32));
  }

  /// The next block's: its scale and its minimum; of kEightTwice its two scales.
  [[gnu::always_inline]] inline void next(__m256& first, __m256& second) {
    if constexpr (kShape.scales == QuantScales::kHalf || kShape.scales == QuantScales::kHalfMin)
      first = f16_to_f32(at_ + half_ * 16);
    if constexpr (kShape.scales == QuantScales::kHalfMin) second = f16_to_f32(at_ + 32 + half_ * 16);
    if constexpr (kShape.scales == QuantScales::kSix)
      first = in_units(_mm256_sub_epi32(six(at_), _mm256_set1_epi32(32)));
    if constexpr (kShape.scales == QuantScales::kSixMin) {
      first = in_units(six(at_));
      second = _mm256_mul_ps(unit_min_, _mm256_cvtepi32_ps(six(at_ + 12)));
    }
    if constexpr (kShape.scales == QuantScales::kEightTwice) {
      first = in_units(eight(at_));
      second = in_units(eight(at_ + 16));
    }
    if constexpr (kShape.scales == QuantScales::kHalf || kShape.scales == QuantScales::kSix)
      second = _mm256_mul_ps(first, _mm256_set1_ps(static_cast<float>(-kShape.zero)));
    at_ += kShape.scale_bytes();
  }

 private:
  __m256 in_units(__m256i codes) const { return _mm256_mul_ps(unit_, _mm256_cvtepi32_ps(codes)); }

  __m256i six(const std::byte* p) const {
    std::int64_t low = 0;
    std::int32_t upper = 0;
    std::memcpy(&low, p, 8);
    std::memcpy(&upper, p + 8, 4);
    const __m256i lows =
        _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi64x(low), low_shift_), _mm256_set1_epi32(15));
    const __m256i uppers =
        _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi32(upper), upper_shift_), _mm256_set1_epi32(3));
    return _mm256_or_si256(lows, _mm256_slli_epi32(uppers, 4));
  }

  __m256i eight(const std::byte* p) const {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + half_ * 8)));
  }

  const int half_;
  const __m256i low_shift_, upper_shift_;
  const std::byte* at_ = nullptr;
  __m256 unit_ = _mm256_setzero_ps(), unit_min_ = _mm256_setzero_ps();
};

__m256i quad_of(const std::int8_t* codes, int i) {
  std::int32_t four = 0;
  std::memcpy(&four, codes + i * 4, 4);
  return _mm256_set1_epi32(four);
}

/// The dot products of a block's eight weight rows with one activation row. Products of 4-bit codes add up to
/// 30,480 at most in 16 bits, those of 5-bit codes over half a block to 31,496; one of 8-bit codes to 64,770,
/// so there the eighth bit is multiplied apart.
template <int BITS>
[[gnu::always_inline]] inline __m256i dots(const __m256i* w, const std::int8_t* a) {
  const __m256i ones = _mm256_set1_epi16(1);
  if constexpr (BITS == 8) {
    const __m256i seven = _mm256_set1_epi8(127);
    const __m256i one = _mm256_set1_epi8(1);
    __m256i low = _mm256_setzero_si256(), high = _mm256_setzero_si256();
    for (int i = 0; i < 8; ++i) {
      const __m256i codes = quad_of(a, i);
      low = _mm256_add_epi32(
          low, _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_and_si256(w[i], seven), codes), ones));
      const __m256i eighth = _mm256_and_si256(_mm256_srli_epi16(w[i], 7), one);
      high = _mm256_add_epi16(high, _mm256_maddubs_epi16(eighth, codes));
    }
    return _mm256_add_epi32(low, _mm256_madd_epi16(high, _mm256_set1_epi16(128)));
  } else {
    __m256i first = _mm256_maddubs_epi16(w[0], quad_of(a, 0));
    __m256i second = _mm256_maddubs_epi16(w[4], quad_of(a, 4));
    for (int i = 1; i < 4; ++i) {
      first = _mm256_add_epi16(first, _mm256_maddubs_epi16(w[i], quad_of(a, i)));
      second = _mm256_add_epi16(second, _mm256_maddubs_epi16(w[i + 4], quad_of(a, i + 4)));
    }
    if constexpr (BITS == 4) return _mm256_madd_epi16(_mm256_add_epi16(first, second), ones);
    return _mm256_add_epi32(_mm256_madd_epi16(first, ones), _mm256_madd_epi16(second, ones));
  }
}

/// The same of 6-bit codes over half a block (`w` and `a` its four quads), from `start` on: two quads' products
/// add up to 32,004.
[[gnu::always_inline]] inline __m256 half_dots(const __m256i* w, const std::int8_t* a, std::int32_t start) {
  const __m256i ones = _mm256_set1_epi16(1);
  const __m256i first =
      _mm256_add_epi16(_mm256_maddubs_epi16(w[0], quad_of(a, 0)), _mm256_maddubs_epi16(w[1], quad_of(a, 1)));
  const __m256i second =
      _mm256_add_epi16(_mm256_maddubs_epi16(w[2], quad_of(a, 2)), _mm256_maddubs_epi16(w[3], quad_of(a, 3)));
  const __m256i both = _mm256_add_epi32(_mm256_madd_epi16(first, ones), _mm256_madd_epi16(second, ones));
  return _mm256_cvtepi32_ps(_mm256_add_epi32(both, _mm256_set1_epi32(start)));
}

struct Avx2 {
  static constexpr int kTileRows = 4;  // what 16 registers hold
  static constexpr int kWeightRows = kHalf;

  template <int ROWS, QuantFormat FORMAT>
  static void tile(const PackedMatrix& weights, int weight_row, const QuantRows& x, int row_first, float* out,
                   std::ptrdiff_t stride) {
    constexpr QuantShape kShape = quant_shape(FORMAT);
    const TileRows rows(x, row_first);
    const int half = weight_row % kPackedRows / kHalf;
    const std::byte* super = weights.group(weight_row / kPackedRows);
    Scales<FORMAT> scales(half);
    __m256 total[ROWS];
    for (int r = 0; r < ROWS; ++r) total[r] = _mm256_setzero_ps();
    for (int b = 0; b < rows.blocks; super += kShape.packed_bytes()) {
      scales.enter(super);
      for (int i = 0; i < kShape.blocks; ++i, ++b) {
        __m256i w[8];
        if (half == 0) fetch_ahead(super + i * kShape.bytes_a_block(), kShape.bytes_a_block());
        unpack<FORMAT>(super + i * kShape.code_bytes(), half, w);
        __m256 first, second;
        scales.next(first, second);
        for (int r = 0; r < ROWS; ++r) total[r] = add_block<FORMAT>(w, first, second, rows, r, b, total[r]);
      }
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

  template <QuantFormat FORMAT>
  [[gnu::always_inline]] static inline __m256 add_block(const __m256i* w, __m256 first, __m256 second,
                                                        const TileRows& rows, int row, int block,
                                                        __m256 total) {
    constexpr QuantShape kShape = quant_shape(FORMAT);
    const std::ptrdiff_t at = rows.index(row, block);
    const std::int8_t* a = rows.codes + at * kQuantBlock;
    const __m256 scale = _mm256_set1_ps(rows.scales[at]);
    if constexpr (kShape.scales == QuantScales::kEightTwice) {
      const __m256 low = _mm256_mul_ps(half_dots(w, a, rows.zeros[2 * at]), first);
      const __m256 both = _mm256_fmadd_ps(half_dots(w + 4, a + 16, rows.zeros[2 * at + 1]), second, low);
      return _mm256_fmadd_ps(both, scale, total);
    } else {
      const __m256 dot = _mm256_cvtepi32_ps(dots < kShape.table ? 8 : kShape.bits > (w, a));
      total = _mm256_fmadd_ps(dot, _mm256_mul_ps(first, scale), total);
      return _mm256_fmadd_ps(second, _mm256_set1_ps(rows.sums[at]), total);
    }
  }
};

}  // namespace

const QuantMatmul* quant_matmul_avx2() {
  static const QuantMatmul kAvx2{"avx2", kChunkBytes, quantise, multiply<Avx2>};
  const bool runs =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  return runs ? &kAvx2 : nullptr;
}

}  // namespace pmt::kernels
