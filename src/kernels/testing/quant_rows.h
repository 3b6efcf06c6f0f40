// Random weights as a GGUF would hold them, and random activations. Thread-safety: pure.
#pragma once

#include <cstring>
#include <random>
#include <vector>

#include "kernels/f16.h"
#include "kernels/quant/format.h"

namespace pmt::kernels::testing {

/// Every bit of codes and scales is random; the f16 halves are of a usual size.
inline std::vector<std::byte> random_blocks(QuantFormat format, int rows, int columns, std::uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  const QuantShape shape = quant_shape(format);
  std::vector<std::byte> out(static_cast<std::size_t>(rows) *
                             static_cast<std::size_t>(columns / shape.columns() * shape.file_bytes));
  for (std::byte& byte : out) byte = static_cast<std::byte>(rng());
  const auto put = [&](std::byte* to, float value) {
    const std::uint16_t bits = f32_to_f16(value);
    std::memcpy(to, &bits, 2);
  };
  const bool two = shape.scales == QuantScales::kHalfMin || shape.scales == QuantScales::kSixMin;
  for (std::size_t at = 0; at < out.size(); at += static_cast<std::size_t>(shape.file_bytes)) {
    put(out.data() + at + (format == QuantFormat::kQ6K ? 208 : 0), 0.01F * normal(rng));
    if (two) put(out.data() + at + 2, 0.05F * normal(rng));
  }
  return out;
}

inline std::vector<float> random_rows(int rows, int columns, std::uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(static_cast<std::size_t>(rows * columns));
  for (float& x : out) x = normal(rng);
  return out;
}

}  // namespace pmt::kernels::testing
