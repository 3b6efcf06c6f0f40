// AMX: tdpbsud multiplies a tile of sixteen activation rows with one of sixteen weight rows, a block's 32
// columns at a time, for a block's scales come behind its sums (note 0047). What the sums then cost, floats
// at each element, is most of the time: beside tiles a core multiplies floats on one port instead of two, so
// what need not be a multiplication isn't one.
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/quant/avx512_blocks.h"
#include "kernels/quant/matmul.h"

namespace pmt::kernels {

const QuantMatmul* quant_matmul_vnni();

namespace {

constexpr int kTileRows = 16;
/// Fewer activation rows leave too much of a tile empty (measured; note 0047).
constexpr int kRowsLeast = 13;
constexpr int kChunkBytes = 1 << 20;
constexpr int kPanelBlocks = 64;  // whole super-blocks
/// As an integer the bits of the float 1.5 * 2^23: with a number below 2^22 added to it, those of that float
/// and the number's sum. So subtracting it converts, on a port that multiplies nothing.
constexpr std::int32_t kMagicBits = 0x4B400000;
constexpr float kMagic = 12582912.0F;

/// What the compiler's own intrinsics do, but naming what is read and written, and with a tile that a
/// template may choose.
template <int TILE>
[[gnu::always_inline]] inline void zero_tile() {
  asm volatile("tilezero %%tmm%c0" : : "i"(TILE));
}

template <int TILE>
[[gnu::always_inline]] inline void load_tile(const void* from, std::ptrdiff_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(TILE) : "memory");
}

template <int TILE>
[[gnu::always_inline]] inline void store_tile(void* to) {
  constexpr std::ptrdiff_t kStride = 64;
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(kStride), "i"(TILE) : "memory");
}

/// SUMS += ACTIVATIONS by WEIGHTS, whose bytes are signed or not.
template <int SUMS, int ACTIVATIONS, int WEIGHTS, bool SIGNED>
[[gnu::always_inline]] inline void multiply_tiles() {
  if constexpr (SIGNED)
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(SUMS), "i"(ACTIVATIONS), "i"(WEIGHTS));
  else
    asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(SUMS), "i"(ACTIVATIONS), "i"(WEIGHTS));
}

constexpr int kSums = 4;  // tiles
constexpr int kActivations = 4, kWeights = 6;

struct alignas(64) TileConfig {
  std::uint8_t palette = 0, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

/// Tiles 0 to 3 hold sums, 4 and 5 activations, 6 and 7 weights, for as long as this lives; then the thread's
/// tiles are as they were, for ggml's products configure a thread once and rely on it.
class Tiles {
 public:
  explicit Tiles(int columns) {
    TileConfig config;
    config.palette = 1;
    for (int i = 0; i < kSums; ++i) set(config, i, kTileRows, 64);
    for (int i = 0; i < 2; ++i) {
      set(config, kActivations + i, kTileRows, columns);
      set(config, kWeights + i, columns / 4, 64);
    }
    asm volatile("sttilecfg %0" : "=m"(before_));
    asm volatile("ldtilecfg %0" : : "m"(config));
  }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
  ~Tiles() {
    if (before_.palette != 0) {
      asm volatile("ldtilecfg %0" : : "m"(before_));
    } else {
      asm volatile("tilerelease");
    }
  }

 private:
  static void set(TileConfig& config, int tile, int rows, int row_bytes) {
    config.rows[tile] = static_cast<std::uint8_t>(rows);
    config.row_bytes[tile] = static_cast<std::uint16_t>(row_bytes);
  }

  TileConfig before_;
};

/// Some blocks of sixteen weight rows, unpacked once for all activation rows.
struct alignas(64) Panel {
  std::uint8_t codes[kPanelBlocks][8 * 64];
  float scales[kPanelBlocks][2][kPackedRows];
};

template <QuantFormat FORMAT>
void unpack_panel(const std::byte* super, int blocks, Panel& out) {
  constexpr QuantShape kShape = quant_shape(FORMAT);
  Scales<FORMAT> scales;
  for (int b = 0; b < blocks; super += kShape.packed_bytes()) {
    scales.enter(super);
    for (int i = 0; i < kShape.blocks; ++i, ++b) {
      __m512i w[8];
      unpack<FORMAT>(super + i * kShape.code_bytes(), w);
      // Signed where two scales a block leave no minimum to take the zero off with.
      const auto zero = static_cast<char>(kShape.scales == QuantScales::kEightTwice ? kShape.zero : 0);
      for (int j = 0; j < 8; ++j)
        _mm512_store_si512(out.codes[b] + j * 64, _mm512_sub_epi8(w[j], _mm512_set1_epi8(zero)));
      __m512 first, second;
      scales.next(first, second);
      _mm512_store_ps(out.scales[b][0], first);
      _mm512_store_ps(out.scales[b][1], second);
    }
  }
}

/// Some blocks of sixteen activation rows.
struct TileRows {
  TileRows(const QuantRows& x, int row_first, int block) {
    const std::ptrdiff_t at = std::ptrdiff_t{row_first} * (x.columns / kQuantBlock) + block * kTileRows;
    codes = x.codes.data() + at * kQuantBlock;
    scales = x.scales.data() + at;
    sums = x.sums.data() + at;
  }

  const std::int8_t* codes;
  const float* scales;
  const float* sums;
};

/// A tile's sums.
struct alignas(64) Dots {
  std::int32_t at[kTileRows][kPackedRows];
};

[[gnu::always_inline]] inline __m512 to_floats(const std::int32_t* dots) {
  const __m512i moved = _mm512_add_epi32(_mm512_load_si512(dots), _mm512_set1_epi32(kMagicBits));
  return _mm512_sub_ps(_mm512_castsi512_ps(moved), _mm512_set1_ps(kMagic));
}

/// The same operations in the same order as the reference's add_block.
template <bool TWICE>
[[gnu::always_inline]] inline void add_block(const Dots* dots, const float (&weights)[2][kPackedRows],
                                             const TileRows& x, int block, __m512* total) {
  const __m512 first = _mm512_load_ps(weights[0]);
  const __m512 second = _mm512_load_ps(weights[1]);
  const float* scales = x.scales + block * kTileRows;
#pragma GCC unroll 16
  for (int r = 0; r < kTileRows; ++r) {
    const __m512 scale = _mm512_set1_ps(scales[r]);
    const __m512 dot = to_floats(dots[0].at[r]);
    if constexpr (TWICE) {
      const __m512 both = _mm512_fmadd_ps(to_floats(dots[1].at[r]), second, _mm512_mul_ps(dot, first));
      total[r] = _mm512_fmadd_ps(both, scale, total[r]);
    } else {
      total[r] = _mm512_fmadd_ps(dot, _mm512_mul_ps(first, scale), total[r]);
      total[r] = _mm512_fmadd_ps(second, _mm512_set1_ps(x.sums[block * kTileRows + r]), total[r]);
    }
  }
}

/// Where a tile's products go: what lies outside of `rows` and `mask` isn't there.
struct Output {
  float* at;
  std::ptrdiff_t stride;
  int rows;
  __mmask16 mask;
};

/// A panel's products with sixteen activation rows, step by step. A part is what one instruction sums: a
/// block or, of formats with two scales a block, half of one. Four are under way, each in a tile of its own:
/// a part's sums are stored two steps after they began, for a product takes 52 cycles, and become floats two
/// steps later.
template <bool TWICE>
struct PanelSteps {
  static constexpr int kParts = TWICE ? 2 : 1;  // of a block

  template <int TILE>
  [[gnu::always_inline]] inline void begin(int part) const {
    if (part >= parts) return;
    constexpr int kHalf = TWICE ? TILE % 2 : 0;
    const int block = part / kParts;
    zero_tile<TILE>();
    load_tile<kWeights + TILE % 2>(panel->codes[block] + kHalf * 256, 64);
    load_tile<kActivations + TILE % 2>(x.codes + block * kTileRows * kQuantBlock + kHalf * 16, kQuantBlock);
    multiply_tiles<TILE, kActivations + TILE % 2, kWeights + TILE % 2, TWICE>();
  }

  template <int TILE>
  [[gnu::always_inline]] inline void step(int part, Dots* dots, __m512* total) const {
    constexpr int kStored = (TILE + 2) % kSums;
    store_tile<kStored>(dots[kStored].at);
    begin<TILE>(part + kSums);
    if (part >= parts || TILE % kParts != kParts - 1) return;
    const int block = part / kParts;
    add_block<TWICE>(dots + TILE / kParts * kParts, panel->scales[block], x, block, total);
  }

  const Panel* panel;
  const TileRows x;
  const int parts;
};

/// Adds a panel's products, or begins with them.
template <bool TWICE>
void add_panel(const Panel& panel, int first, int blocks, const QuantRows& x, int row, const Output& out) {
  __m512 total[kTileRows];
#pragma GCC unroll 16
  for (int r = 0; r < kTileRows; ++r)
    total[r] = first > 0 && r < out.rows ? _mm512_maskz_loadu_ps(out.mask, out.at + r * out.stride)
                                         : _mm512_setzero_ps();
  // Each row's products are a cache line on a page of its own, which the stores at the end would wait for.
  if (first == 0) {
    for (int r = 0; r < kTileRows && r < out.rows; ++r) __builtin_prefetch(out.at + r * out.stride, 1);
  }
  Dots dots[kSums];
  const PanelSteps<TWICE> steps{&panel, TileRows(x, row, first), blocks * PanelSteps<TWICE>::kParts};
  steps.template begin<0>(0);
  steps.template begin<1>(1);
  steps.template begin<2>(2);
  steps.template begin<3>(3);
  store_tile<0>(dots[0].at);
  store_tile<1>(dots[1].at);
  for (int part = 0; part < steps.parts; part += kSums) {
    steps.template step<0>(part, dots, total);
    steps.template step<1>(part + 1, dots, total);
    steps.template step<2>(part + 2, dots, total);
    steps.template step<3>(part + 3, dots, total);
  }
#pragma GCC unroll 16
  for (int r = 0; r < kTileRows; ++r) {
    if (r < out.rows) _mm512_mask_storeu_ps(out.at + r * out.stride, out.mask, total[r]);
  }
}

template <QuantFormat FORMAT>
void multiply_group(const PackedMatrix& weights, int group, const QuantRows& x, float* out,
                    std::ptrdiff_t stride) {
  constexpr QuantShape kShape = quant_shape(FORMAT);
  const int blocks = x.columns / kQuantBlock;
  const int left = weights.rows() - group * kPackedRows;
  const auto mask = static_cast<__mmask16>(left >= kPackedRows ? 0xFFFF : (1 << left) - 1);
  Panel panel;
  for (int first = 0; first < blocks; first += kPanelBlocks) {
    const int count = blocks - first < kPanelBlocks ? blocks - first : kPanelBlocks;
    unpack_panel<FORMAT>(weights.group(group) + std::ptrdiff_t{first / kShape.blocks} * kShape.packed_bytes(),
                         count, panel);
    for (int row = 0; row < x.rows; row += kTileRows) {
      const Output to{out + row * stride + group * kPackedRows, stride, x.rows - row, mask};
      add_panel<kShape.scales == QuantScales::kEightTwice>(panel, first, count, x, row, to);
    }
  }
}

template <std::size_t FORMAT = 0>
void multiply_tiled(const PackedMatrix& weights, const QuantRows& x, int group_first, int group_end,
                    float* out, std::ptrdiff_t stride) {
  if constexpr (FORMAT < sizeof(kQuantFormats) / sizeof(kQuantFormats[0])) {
    constexpr QuantFormat kFormat = kQuantFormats[FORMAT];
    if (weights.format() != kFormat)
      return multiply_tiled<FORMAT + 1>(weights, x, group_first, group_end, out, stride);
    const bool twice = quant_shape(kFormat).scales == QuantScales::kEightTwice;
    const Tiles tiles(twice ? kQuantBlock / 2 : kQuantBlock);
    for (int group = group_first; group < group_end; ++group)
      multiply_group<kFormat>(weights, group, x, out, stride);
  }
}

/// Element i is vector i's elements together.
template <class Join>
[[gnu::always_inline]] inline __m512i across(const __m512i* v, Join join) {
  __m512i fours[4];
  for (int i = 0; i < 4; ++i) {
    const __m512i *a = v + 4 * i, *b = a + 2;
    const __m512i first = join(_mm512_unpacklo_epi32(a[0], a[1]), _mm512_unpackhi_epi32(a[0], a[1]));
    const __m512i second = join(_mm512_unpacklo_epi32(b[0], b[1]), _mm512_unpackhi_epi32(b[0], b[1]));
    fours[i] = join(_mm512_unpacklo_epi64(first, second), _mm512_unpackhi_epi64(first, second));
  }
  const auto lanes = [join](__m512i a, __m512i b) {
    return join(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xDD));
  };
  return lanes(lanes(fours[0], fours[1]), lanes(fours[2], fours[3]));
}

/// A block's columns, from `column` on, of sixteen rows.
void quantise_tile(const float* const* rows, int column, std::int8_t* codes, float* scales, float* sums) {
  const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
  const __m512 greatest = _mm512_set1_ps(127.0F);
  __m512i of_rows[kTileRows];
  for (int r = 0; r < kTileRows; ++r) {
    const __m512i low = _mm512_and_si512(_mm512_loadu_si512(rows[r] + column), magnitude);
    const __m512i high = _mm512_and_si512(_mm512_loadu_si512(rows[r] + column + 16), magnitude);
    of_rows[r] = _mm512_max_epi32(low, high);  // bits of floats that aren't negative are in the floats' order
  }
  const __m512 most =
      _mm512_castsi512_ps(across(of_rows, [](__m512i a, __m512i b) { return _mm512_max_epi32(a, b); }));
  const __mmask16 any = _mm512_cmp_ps_mask(most, _mm512_setzero_ps(), _CMP_GT_OQ);
  alignas(64) float inverses[kTileRows];
  _mm512_store_ps(inverses, _mm512_maskz_div_ps(any, greatest, most));
  const __m512 scale = _mm512_div_ps(most, greatest);
  const __m512i in_order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  for (int r = 0; r < kTileRows; r += 2) {
    __m512i halves[4];
    for (int i = 0; i < 4; ++i)
      halves[i] = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(rows[r + i / 2] + column + i % 2 * 16),
                                                   _mm512_set1_ps(inverses[r + i / 2])));
    of_rows[r] = _mm512_add_epi32(halves[0], halves[1]);
    of_rows[r + 1] = _mm512_add_epi32(halves[2], halves[3]);
    const __m512i bytes = _mm512_packs_epi16(_mm512_packs_epi32(halves[0], halves[1]),
                                             _mm512_packs_epi32(halves[2], halves[3]));
    _mm512_storeu_si512(codes + r * kQuantBlock, _mm512_permutexvar_epi32(in_order, bytes));
  }
  const __m512i sum = across(of_rows, [](__m512i a, __m512i b) { return _mm512_add_epi32(a, b); });
  _mm512_storeu_ps(scales, scale);
  _mm512_storeu_ps(sums, _mm512_mul_ps(scale, _mm512_cvtepi32_ps(sum)));
}

void quantise(const float* x, int rows, int columns, std::ptrdiff_t stride, QuantRows& out) {
  if (rows < kRowsLeast) return quant_matmul_vnni()->quantise(x, rows, columns, stride, out);
  out.resize_tiled(rows, columns);
  const int blocks = columns / kQuantBlock;
  for (int first = 0; first < rows; first += kTileRows) {
    const float* from[kTileRows];
    for (int r = 0; r < kTileRows; ++r) {
      const int row = first + r < rows ? first + r : rows - 1;
      from[r] = x + row * stride;
    }
    for (int b = 0; b < blocks; ++b) {
      const auto at = static_cast<std::size_t>(first * blocks + b * kTileRows);
      quantise_tile(from, b * kQuantBlock, out.codes.data() + at * kQuantBlock, out.scales.data() + at,
                    out.sums.data() + at);
    }
  }
}

void multiply(const PackedMatrix& weights, const QuantRows& x, int group_first, int group_end, float* out,
              std::ptrdiff_t stride) {
  if (x.tiled) return multiply_tiled(weights, x, group_first, group_end, out, stride);
  quant_matmul_vnni()->multiply(weights, x, group_first, group_end, out, stride);
}

/// By cpuid itself: not every compiler's __builtin_cpu_supports knows tiles. The system must save them, too.
bool has_tiles() {
  constexpr unsigned kTile = 1U << 24, kInt8 = 1U << 25, kSaved = 3U << 17;
  unsigned a = 0, b = 0, c = 0, features = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &features) == 0) return false;
  if ((features & kTile) == 0 || (features & kInt8) == 0) return false;
  unsigned low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & kSaved) == kSaved;
}

/// The kernel wants to be asked before a process uses tiles. Threads share the answer.
bool may_use_tiles() {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

const QuantMatmul* quant_matmul_amx() {
  static const QuantMatmul kAmx{"amx-int8", kChunkBytes, quantise, multiply};
  static const bool kRuns = quant_matmul_vnni() != nullptr && has_tiles() && may_use_tiles();
  return kRuns ? &kAmx : nullptr;
}

}  // namespace pmt::kernels
