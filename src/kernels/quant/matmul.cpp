#include "kernels/quant/matmul.h"

#include <algorithm>
#include <cmath>

namespace pmt::kernels {
namespace {

constexpr int kHalfBlock = kQuantBlock / 2;
constexpr int kChunkBytes = 192 << 10;

void quantise(const float* x, int rows, int columns, std::ptrdiff_t stride, QuantRows& out) {
  out.resize(rows, columns);
  const auto blocks = static_cast<std::size_t>(columns / kQuantBlock);
  for (std::size_t b = 0; b < out.scales.size(); ++b) {
    const float* from = x + static_cast<std::ptrdiff_t>(b / blocks) * stride + b % blocks * kQuantBlock;
    float most = 0;
    for (int i = 0; i < kQuantBlock; ++i) most = std::max(most, std::fabs(from[i]));
    const float inverse = most > 0 ? 127.0F / most : 0;
    int sums[2] = {};
    for (int i = 0; i < kQuantBlock; ++i) {
      const auto code = static_cast<int>(std::nearbyint(from[i] * inverse));
      out.codes[b * kQuantBlock + static_cast<std::size_t>(i)] = static_cast<std::int8_t>(code);
      sums[i / kHalfBlock] += code;
    }
    out.scales[b] = most / 127.0F;
    out.sums[b] = out.scales[b] * static_cast<float>(sums[0] + sums[1]);
    for (std::size_t half = 0; half < 2; ++half) out.zeros[2 * b + half] = -32 * sums[half];
  }
}

/// Adds a block's products to `total`.
float add_block(const QuantShape& shape, const PackedBlock& block, const QuantRows& x, std::size_t at,
                float total) {
  const std::int8_t* codes = x.codes.data() + at * kQuantBlock;
  int dots[2] = {};
  for (int i = 0; i < kQuantBlock; ++i) dots[i / kHalfBlock] += block.codes[i] * codes[i];
  if (shape.scales == QuantScales::kEightTwice) {
    const float first = static_cast<float>(dots[0] + x.zeros[2 * at]) * block.scale[0];
    const float both = std::fma(static_cast<float>(dots[1] + x.zeros[2 * at + 1]), block.scale[1], first);
    return std::fma(both, x.scales[at], total);
  }
  const bool implied = shape.scales == QuantScales::kHalf || shape.scales == QuantScales::kSix;
  const float minimum = implied ? static_cast<float>(-shape.zero) * block.scale[0] : block.minimum;
  total = std::fma(static_cast<float>(dots[0] + dots[1]), block.scale[0] * x.scales[at], total);
  return std::fma(minimum, x.sums[at], total);
}

void multiply(const PackedMatrix& weights, const QuantRows& x, int group_first, int group_end, float* out,
              std::ptrdiff_t stride) {
  const QuantShape shape = quant_shape(weights.format());
  const int blocks = weights.columns() / kQuantBlock;
  for (int row = group_first * kPackedRows; row < std::min(group_end * kPackedRows, weights.rows()); ++row) {
    for (int r = 0; r < x.rows; ++r) out[r * stride + row] = 0;
    for (int b = 0; b < blocks; ++b) {
      const PackedBlock block = read_packed_block(weights, row, b);
      for (int r = 0; r < x.rows; ++r) {
        float& total = out[r * stride + row];
        total = add_block(shape, block, x, static_cast<std::size_t>(r * blocks + b), total);
      }
    }
  }
}

}  // namespace

void QuantRows::resize(int to_rows, int to_columns) {
  tiled = false;
  rows = to_rows;
  columns = to_columns;
  codes.resize(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns));
  scales.resize(codes.size() / kQuantBlock);
  sums.resize(scales.size());
  zeros.resize(scales.size() * 2);
}

void QuantRows::resize_tiled(int to_rows, int to_columns) {
  resize((to_rows + kPackedRows - 1) / kPackedRows * kPackedRows, to_columns);
  tiled = true;
  rows = to_rows;
}

int QuantMatmul::chunk_rows(int columns) const {
  return std::max(kPackedRows, chunk_bytes / columns / kPackedRows * kPackedRows);
}

const QuantMatmul& quant_matmul_reference() {
  static const QuantMatmul kReference{"reference", kChunkBytes, quantise, multiply};
  return kReference;
}

}  // namespace pmt::kernels
