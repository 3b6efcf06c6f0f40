// Products of quantised weights with f32 activations, on the widest integer dot product (note 0007).
//
// Weights are repacked when they are loaded: sixteen output rows side by side, so that one vector instruction
// multiplies four columns of all sixteen, for every activation row in turn. Activations are coded to 8 bits a
// block of 32, as ggml does. A weight is scale * code + minimum with an unsigned code, which holds ggml's
// Q4_0, Q4_1, Q5_0 and Q8_0 exactly.
//
// Layout of a packed matrix: [rows / 16 rounded up][columns / 32] blocks, each
//   codes     4 bits: [4][16 rows][4 columns] bytes, columns 4i.. in the low, 16 + 4i.. in the high half
//             5 bits: as 4 bits, then the fifth bits, [8][64] as the bytes of 8 bits lie
//             8 bits: [8][16 rows][4 columns] bytes
//   scales    [16] f16
//   minima    [16] f16
// An output element's additions have one order, so its bits depend neither on the rows computed beside it
// nor on the thread. Thread-safety: pure functions over their arguments.
// Cost: 4 bits: 5 bits a weight in memory; per 16 x 32 block and activation row 8 integer dot products and 4
// float operations.
// Source: the interleaved layout is as in llama.cpp's repacked types; ggml has none for Q4_1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/isa.h"

namespace pmt::kernels {

enum class QuantFormat { kQ40, kQ41, kQ50, kQ80 };

inline constexpr int kQuantBlock = 32;
inline constexpr int kPackedRows = 16;

/// Bytes of one block of 32 weights as a GGUF holds it.
constexpr std::size_t quant_block_bytes(QuantFormat format) {
  switch (format) {
    case QuantFormat::kQ40:
      return 18;
    case QuantFormat::kQ41:
      return 20;
    case QuantFormat::kQ50:
      return 22;
    default:
      return 34;
  }
}

class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// `source`: `rows` rows of columns / 32 blocks each. Requires: columns % 32 == 0.
  PackedMatrix(QuantFormat format, int rows, int columns, const std::byte* source);

  bool empty() const { return bytes_.empty(); }
  int rows() const { return rows_; }
  int columns() const { return columns_; }
  int groups() const { return (rows_ + kPackedRows - 1) / kPackedRows; }
  int code_bits() const { return code_bits_; }                                          // 4, 5 or 8
  std::size_t code_bytes() const { return static_cast<std::size_t>(code_bits_) * 64; }  // of a block
  std::size_t block_bytes() const { return code_bytes() + 64; }
  const std::byte* group(int i) const {
    return bytes_.data() +
           block_bytes() * static_cast<std::size_t>(columns_ / kQuantBlock) * static_cast<std::size_t>(i);
  }
  std::size_t bytes() const { return bytes_.size(); }

 private:
  int rows_ = 0;
  int columns_ = 0;
  int code_bits_ = 4;
  std::vector<std::byte> bytes_;
};

/// Activation rows coded to 8 bits.
struct QuantRows {
  /// Not inline: instruction sets' own files call it, and must not compile the vectors' code with their
  /// flags.
  void resize(int to_rows, int to_columns);

  int rows = 0;
  int columns = 0;
  std::vector<std::int8_t> codes;  // [rows, columns]
  std::vector<float> scales;       // [rows, columns / 32]
  std::vector<float> sums;         // [rows, columns / 32]: scale * the sum of the block's codes
};

struct QuantMatmul {
  const char* name;
  /// Codes `rows` rows of `columns` floats, `stride` apart.
  void (*quantise)(const float* x, int rows, int columns, std::ptrdiff_t stride, QuantRows& out);
  /// out[r * stride + n] = the product of activation row r and weight row n, for the weight rows of groups
  /// [group_first, group_end).
  void (*multiply)(const PackedMatrix& weights, const QuantRows& x, int group_first, int group_end,
                   float* out, std::ptrdiff_t stride);
};

/// The best that this CPU runs: AVX-512 with VNNI, or AVX2. Null where it has neither: then ggml's own
/// products serve.
const QuantMatmul* quant_matmul();
/// Null when this CPU or this build has no such instructions, and for kScalar.
const QuantMatmul* quant_matmul(Isa isa);

/// The same in plain code, for tests.
const QuantMatmul& quant_matmul_reference();

}  // namespace pmt::kernels
