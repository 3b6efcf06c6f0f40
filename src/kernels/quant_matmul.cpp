#include "kernels/quant_matmul.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "kernels/f16.h"

namespace pmt::kernels {
namespace {

std::uint16_t u16_at(const std::byte* p) {
  std::uint16_t out = 0;
  std::memcpy(&out, p, sizeof(out));
  return out;
}

/// One row's block, with unsigned codes.
struct Block {
  std::uint8_t codes[kQuantBlock];
  std::uint16_t scale;
  std::uint16_t minimum;
};

Block unpack(QuantFormat format, const std::byte* p) {
  Block out{};
  out.scale = u16_at(p);
  if (format == QuantFormat::kQ80) {
    out.minimum = f32_to_f16(-128.0F * f16_to_f32(out.scale));
    for (int i = 0; i < kQuantBlock; ++i) {
      const int code = static_cast<std::int8_t>(std::to_integer<std::uint8_t>(p[2 + i]));
      out.codes[i] = static_cast<std::uint8_t>(code + 128);
    }
    return out;
  }
  const bool five = format == QuantFormat::kQ50;
  const std::byte* nibbles = p + (five ? 6 : format == QuantFormat::kQ41 ? 4 : 2);
  out.minimum = format == QuantFormat::kQ41 ? u16_at(p + 2)
                                            : f32_to_f16((five ? -16.0F : -8.0F) * f16_to_f32(out.scale));
  for (int i = 0; i < kQuantBlock / 2; ++i) {
    const auto byte = std::to_integer<std::uint8_t>(nibbles[i]);
    out.codes[i] = byte & 15U;
    out.codes[i + kQuantBlock / 2] = byte >> 4;
  }
  for (int i = 0; five && i < kQuantBlock; ++i) {
    const auto byte = std::to_integer<unsigned>(p[2 + i / 8]);
    out.codes[i] = static_cast<std::uint8_t>(out.codes[i] | (byte >> (i % 8) & 1U) << 4);
  }
  return out;
}

void place(const Block& block, int bits, int row, std::byte* to) {
  for (int i = 0; i < kQuantBlock; ++i) {
    const int quad = i / 4;
    const int lane = row * 4 + i % 4;
    if (bits == 8) {
      to[quad * 64 + lane] = static_cast<std::byte>(block.codes[i]);
    } else {
      const int shift = quad < 4 ? 0 : 4;
      to[quad % 4 * 64 + lane] |= static_cast<std::byte>((block.codes[i] & 15) << shift);
      if (bits == 5) to[256 + quad * 8 + lane / 8] |= static_cast<std::byte>(block.codes[i] >> 4 << lane % 8);
    }
  }
  std::byte* scales = to + bits * 64;
  std::memcpy(scales + row * 2, &block.scale, 2);
  std::memcpy(scales + 32 + row * 2, &block.minimum, 2);
}

void quantise(const float* x, int rows, int columns, std::ptrdiff_t stride, QuantRows& out) {
  out.resize(rows, columns);
  const auto blocks = static_cast<std::size_t>(columns / kQuantBlock);
  for (std::size_t b = 0; b < out.scales.size(); ++b) {
    const float* from = x + static_cast<std::ptrdiff_t>(b / blocks) * stride + b % blocks * kQuantBlock;
    float most = 0;
    for (int i = 0; i < kQuantBlock; ++i) most = std::max(most, std::fabs(from[i]));
    const float inverse = most > 0 ? 127.0F / most : 0;
    int sum = 0;
    for (int i = 0; i < kQuantBlock; ++i) {
      const auto code = static_cast<int>(std::nearbyint(from[i] * inverse));
      out.codes[b * kQuantBlock + static_cast<std::size_t>(i)] = static_cast<std::int8_t>(code);
      sum += code;
    }
    out.scales[b] = most / 127.0F;
    out.sums[b] = out.scales[b] * static_cast<float>(sum);
  }
}

void multiply(const PackedMatrix& weights, const QuantRows& x, int group_first, int group_end, float* out,
              std::ptrdiff_t stride) {
  const int blocks = weights.columns() / kQuantBlock;
  for (int row = group_first * kPackedRows; row < std::min(group_end * kPackedRows, weights.rows()); ++row) {
    for (int r = 0; r < x.rows; ++r) {
      float total = 0;
      for (int b = 0; b < blocks; ++b) {
        const std::byte* block =
            weights.group(row / kPackedRows) + weights.block_bytes() * static_cast<std::size_t>(b);
        const std::int8_t* codes =
            x.codes.data() + static_cast<std::ptrdiff_t>(r) * x.columns + b * kQuantBlock;
        int dot = 0;
        for (int i = 0; i < kQuantBlock; ++i) {
          const int quad = i / 4;
          const int lane = row % kPackedRows * 4 + i % 4;
          const int bits = weights.code_bits();
          const auto byte = std::to_integer<int>(block[(bits == 8 ? quad : quad % 4) * 64 + lane]);
          int code = bits == 8 ? byte : quad < 4 ? byte & 15 : byte >> 4;
          if (bits == 5)
            code |= (std::to_integer<int>(block[256 + quad * 8 + lane / 8]) >> lane % 8 & 1) << 4;
          dot += code * codes[i];
        }
        const std::byte* scales = block + weights.code_bytes() + row % kPackedRows * 2;
        const auto at = static_cast<std::size_t>(r * blocks + b);
        total = std::fma(static_cast<float>(dot), f16_to_f32(u16_at(scales)) * x.scales[at], total);
        total = std::fma(f16_to_f32(u16_at(scales + 32)), x.sums[at], total);
      }
      out[r * stride + row] = total;
    }
  }
}

}  // namespace

void QuantRows::resize(int to_rows, int to_columns) {
  rows = to_rows;
  columns = to_columns;
  codes.resize(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns));
  scales.resize(codes.size() / kQuantBlock);
  sums.resize(scales.size());
}

PackedMatrix::PackedMatrix(QuantFormat format, int rows, int columns, const std::byte* source)
    : rows_(rows),
      columns_(columns),
      code_bits_(format == QuantFormat::kQ80   ? 8
                 : format == QuantFormat::kQ50 ? 5
                                               : 4) {
  CHECK(columns % kQuantBlock == 0);
  const int blocks = columns / kQuantBlock;
  bytes_.resize(block_bytes() * static_cast<std::size_t>(blocks) * static_cast<std::size_t>(groups()));
  for (int row = 0; row < rows; ++row) {
    std::byte* to = bytes_.data() + (group(row / kPackedRows) - bytes_.data());
    for (int b = 0; b < blocks; ++b) {
      place(unpack(format, source), code_bits_, row % kPackedRows, to);
      source += quant_block_bytes(format);
      to += block_bytes();
    }
  }
}

const QuantMatmul& quant_matmul_reference() {
  static const QuantMatmul kReference{"reference", quantise, multiply};
  return kReference;
}

}  // namespace pmt::kernels
