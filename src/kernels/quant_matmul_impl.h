// The walk over groups and rows once, over a kernel K: included by one .cpp per instruction set, each
// compiled with its own flags, so everything is in an unnamed namespace, as in attention_impl.h.
//
// K offers: kTileRows, the activation rows that share a block's unpacked weights; kWeightRows, the weight
// rows of a tile, a divisor of a group's; tile<ROWS, BITS>(weights, weight_row, x, row, out, stride), the
// products of kWeightRows weight rows from weight_row on with ROWS activation rows from row on.
#pragma once

#include "kernels/quant_matmul.h"

namespace pmt::kernels {
namespace {

template <class K, int ROWS, int BITS>
void multiply_tail(int rows, const PackedMatrix& weights, int weight_row, const QuantRows& x, int row,
                   float* out, std::ptrdiff_t stride) {
  if constexpr (ROWS > 0) {
    if (rows == ROWS) return K::template tile<ROWS, BITS>(weights, weight_row, x, row, out, stride);
    multiply_tail<K, ROWS - 1, BITS>(rows, weights, weight_row, x, row, out, stride);
  }
}

template <class K, int BITS>
void multiply_group(const PackedMatrix& weights, int group, const QuantRows& x, float* out,
                    std::ptrdiff_t stride) {
  const int first = group * kPackedRows;
  for (int at = first; at < first + kPackedRows && at < weights.rows(); at += K::kWeightRows) {
    int row = 0;
    for (; row + K::kTileRows <= x.rows; row += K::kTileRows)
      K::template tile<K::kTileRows, BITS>(weights, at, x, row, out, stride);
    multiply_tail<K, K::kTileRows - 1, BITS>(x.rows - row, weights, at, x, row, out, stride);
  }
}

template <class K>
void multiply(const PackedMatrix& weights, const QuantRows& x, int group_first, int group_end, float* out,
              std::ptrdiff_t stride) {
  for (int group = group_first; group < group_end; ++group) {
    switch (weights.code_bits()) {
      case 4:
        multiply_group<K, 4>(weights, group, x, out, stride);
        break;
      case 5:
        multiply_group<K, 5>(weights, group, x, out, stride);
        break;
      default:
        multiply_group<K, 8>(weights, group, x, out, stride);
    }
  }
}

}  // namespace
}  // namespace pmt::kernels
