// A quantised matrix as our kernels read it: sixteen output rows side by side, so that one vector instruction
// multiplies four columns of all sixteen (note 0007). It takes the file's bytes, not one more (note 0029).
//
// Layout: [rows / 16 rounded up][columns / a super-block's] super-blocks, each (format.h)
//   codes    of each block in turn
//     4 bits: [4][16 rows][4 columns] bytes, columns 4i.. in the low, 16 + 4i.. in the high half
//     5 bits: as 4 bits, then the fifth bits, [8][64] as the bytes of 8 bits lie
//     6 bits: as 4 bits, then the upper pairs of bits, [2][64]: byte i's pair j is of column quad 4 * i + j
//     8 bits: [8][16 rows][4 columns] bytes
//   scales   of each block in turn
//     kHalf, kHalfMin: [16] f16, then the minima alike
//     kSix, kSixMin: row r's low 4 bits in word r % 2 of two at bit 4 * (r / 2), its upper 2 in a third word
//       at bit 2 * r; then the minima alike
//     kEightTwice: [2][16] signed bytes
//   header   [16] f16, of kSixMin two
// Rows that fill the last group are zeros. Thread-safety: read-only once made.
// Cost: the file's bytes, rows rounded up to sixteen; packing is one pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "kernels/quant/format.h"

namespace pmt::kernels {

class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// `source`: `rows` rows of super-blocks. Requires: columns is a multiple of a super-block's.
  PackedMatrix(QuantFormat format, int rows, int columns, const std::byte* source);

  bool empty() const { return bytes_ == nullptr; }
  QuantFormat format() const { return format_; }
  int rows() const { return rows_; }
  int columns() const { return columns_; }
  int groups() const { return (rows_ + kPackedRows - 1) / kPackedRows; }
  const std::byte* group(int i) const { return bytes_.get() + group_bytes() * static_cast<std::size_t>(i); }
  std::size_t bytes() const { return group_bytes() * static_cast<std::size_t>(groups()); }

  /// One row's `columns` weights. Cost: it reads all that lies between them, sixteen rows' bytes.
  void row(int index, float* out) const;

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };

  std::size_t group_bytes() const;

  QuantFormat format_ = QuantFormat::kQ40;
  int rows_ = 0;
  int columns_ = 0;
  std::unique_ptr<std::byte[], Free> bytes_;  // on a cache line's boundary
};

/// What a packed row's block of 32 says, for the reference and for looking rows up.
struct PackedBlock {
  int codes[kQuantBlock];  // unsigned, of IQ4 the table's values
  float scale[2];          // of the first 16 columns, of the others
  float minimum;           // added; 0 where `zero` is meant instead
};

PackedBlock read_packed_block(const PackedMatrix& matrix, int row, int block);

}  // namespace pmt::kernels
