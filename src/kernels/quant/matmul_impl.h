// The walk over groups and rows once, over a kernel K: included by one .cpp per instruction set, each
// compiled with its own flags, so everything is in an unnamed namespace, as in attention_impl.h.
//
// K offers: kTileRows, the activation rows that share a block's unpacked weights; kWeightRows, the weight
// rows of a tile, a divisor of a group's; tile<ROWS, FORMAT>(weights, weight_row, x, row, out, stride), the
// products of kWeightRows weight rows from weight_row on with ROWS activation rows from row on. What a tile
// calls for each block is always inlined: a call would pass the unpacked weights through memory.
#pragma once

#include "kernels/quant/matmul.h"

namespace pmt::kernels {
namespace {

/// Where a tile's activation rows lie: row r's block b is at index(r, b).
struct TileRows {
  TileRows(const QuantRows& x, int row_first)
      : blocks(x.columns / kQuantBlock),
        codes(x.codes.data() + static_cast<std::ptrdiff_t>(row_first) * x.columns),
        scales(x.scales.data() + static_cast<std::ptrdiff_t>(row_first) * blocks),
        sums(x.sums.data() + static_cast<std::ptrdiff_t>(row_first) * blocks),
        zeros(x.zeros.data() + static_cast<std::ptrdiff_t>(row_first) * blocks * 2) {}
  std::ptrdiff_t index(int row, int block) const { return std::ptrdiff_t{row} * blocks + block; }

  int blocks;
  const std::int8_t* codes;
  const float* scales;
  const float* sums;
  const std::int32_t* zeros;
};

/// Fetches what a tile will read after the `bytes` at `at`. One row's products are done sooner than the
/// hardware's prefetcher goes ahead: without it a core reads weights at .6 of its bandwidth (note 0029).
[[gnu::always_inline]] inline void fetch_ahead(const std::byte* at, int bytes) {
  constexpr int kNear = 1024, kFar = 4096;  // into the first cache, into the second
  for (int line = 0; line < bytes; line += 64) {
    __builtin_prefetch(at + kFar + line, 0, 2);
    __builtin_prefetch(at + kNear + line, 0, 3);
  }
}

template <class K, int ROWS, QuantFormat FORMAT>
void multiply_tail(int rows, const PackedMatrix& weights, int weight_row, const QuantRows& x, int row,
                   float* out, std::ptrdiff_t stride) {
  if constexpr (ROWS > 0) {
    if (rows == ROWS) return K::template tile<ROWS, FORMAT>(weights, weight_row, x, row, out, stride);
    multiply_tail<K, ROWS - 1, FORMAT>(rows, weights, weight_row, x, row, out, stride);
  }
}

template <class K, QuantFormat FORMAT>
void multiply_group(const PackedMatrix& weights, int group, const QuantRows& x, float* out,
                    std::ptrdiff_t stride) {
  const int first = group * kPackedRows;
  for (int at = first; at < first + kPackedRows && at < weights.rows(); at += K::kWeightRows) {
    int row = 0;
    for (; row + K::kTileRows <= x.rows; row += K::kTileRows)
      K::template tile<K::kTileRows, FORMAT>(weights, at, x, row, out, stride);
    multiply_tail<K, K::kTileRows - 1, FORMAT>(x.rows - row, weights, at, x, row, out, stride);
  }
}

template <class K, std::size_t FORMAT = 0>
void multiply(const PackedMatrix& weights, const QuantRows& x, int group_first, int group_end, float* out,
              std::ptrdiff_t stride) {
  if constexpr (FORMAT < sizeof(kQuantFormats) / sizeof(kQuantFormats[0])) {
    constexpr QuantFormat kFormat = kQuantFormats[FORMAT];
    if (weights.format() != kFormat)
      return multiply<K, FORMAT + 1>(weights, x, group_first, group_end, out, stride);
    for (int group = group_first; group < group_end; ++group)
      multiply_group<K, kFormat>(weights, group, x, out, stride);
  }
}

}  // namespace
}  // namespace pmt::kernels
