// Products of quantised weights with f32 activations, on the widest integer dot product (notes 0007, 0029,
// 0047).
//
// Weights are repacked when they are loaded (packed_matrix.h). Activations are coded to 8 bits a block of 32,
// as ggml does for its plain blocks. A weight is scale * code + minimum with an unsigned code; where the file
// has no minimum, one of `zero` scales stands for the signed code, or, with two scales a block (Q6_K), the
// sums start at what `zero` is too much.
//
// An output element's additions have one order, the same in every kernel: its bits depend neither on the
// rows computed beside it, nor on the thread, nor on the instructions. Thread-safety: pure functions over
// their arguments.
// Cost: per 16 x 32 block and activation row 8 integer dot products and 5 float operations; what a block's
// codes and scales cost to unpack is shared by the activation rows of a tile.
// Source: the interleaved layout is as in llama.cpp's repacked types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#include "kernels/isa.h"
#include "kernels/quant/packed_matrix.h"

namespace pmt::kernels {

/// For tiles: a row of one that crosses a cache line's end costs two loads.
template <class T>
struct CacheLineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};
  CacheLineAllocator() = default;
  template <class U>
  explicit CacheLineAllocator(const CacheLineAllocator<U>& /*other*/) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kLine)); }
  void deallocate(T* p, std::size_t /*n*/) { ::operator delete(p, kLine); }
  bool operator==(const CacheLineAllocator&) const = default;
};

/// Activation rows coded to 8 bits.
struct QuantRows {
  /// Not inline: instruction sets' own files call them, and must not compile the vectors' code with their
  /// flags.
  void resize(int to_rows, int to_columns);
  /// Rows that fill the last tile hold anything.
  void resize_tiled(int to_rows, int to_columns);

  /// Block b of row r lies at [r / 16][b][r % 16] instead of [r][b], as AMX reads it.
  bool tiled = false;
  int rows = 0;
  int columns = 0;
  std::vector<std::int8_t, CacheLineAllocator<std::int8_t>> codes;  // [rows, columns]
  std::vector<float> scales;                                        // [rows, columns / 32]
  /// [rows, columns / 32]: scale * the sum of the block's codes.
  std::vector<float> sums;
  /// [rows, columns / 16]: -32 * the sum of half a block's codes (Q6_K); not of tiles.
  std::vector<std::int32_t> zeros;
};

struct QuantMatmul {
  const char* name;
  /// Of coded rows: as many as stay in a core's cache beside a group of weights.
  int chunk_bytes;
  /// Codes `rows` rows of `columns` floats, `stride` apart.
  void (*quantise)(const float* x, int rows, int columns, std::ptrdiff_t stride, QuantRows& out);
  /// out[r * stride + n] = the product of activation row r and weight row n, for the weight rows of groups
  /// [group_first, group_end). Requires: x was coded by the same kernels' quantise.
  void (*multiply)(const PackedMatrix& weights, const QuantRows& x, int group_first, int group_end,
                   float* out, std::ptrdiff_t stride);

  /// Rows of so many columns to code and multiply at a time: whole tiles.
  int chunk_rows(int columns) const;
};

/// The best that this CPU runs: AMX, AVX-512 with VNNI, or AVX2. Null where it has neither: then ggml's own
/// products serve.
const QuantMatmul* quant_matmul();
/// Null when this CPU or this build has no such instructions, and for kScalar.
const QuantMatmul* quant_matmul(Isa isa);

/// The same in plain code, for tests.
const QuantMatmul& quant_matmul_reference();

}  // namespace pmt::kernels
