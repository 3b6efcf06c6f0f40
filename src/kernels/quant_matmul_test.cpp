#include "kernels/quant_matmul.h"

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/f16.h"

namespace pmt::kernels {
namespace {

/// Random blocks as a GGUF would hold them, and the weights that they mean.
struct Weights {
  std::vector<std::byte> blocks;
  std::vector<float> values;
};

Weights random_weights(QuantFormat format, int rows, int columns, std::uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  Weights out;
  const auto put16 = [&](float x) {
    const std::uint16_t bits = f32_to_f16(x);
    out.blocks.push_back(static_cast<std::byte>(bits & 255U));
    out.blocks.push_back(static_cast<std::byte>(bits >> 8));
    return f16_to_f32(bits);
  };
  for (int b = 0; b < rows * columns / kQuantBlock; ++b) {
    const float scale = put16(0.01F * normal(rng));
    const float minimum = format == QuantFormat::kQ41 ? put16(0.05F * normal(rng)) : 0;
    int codes[kQuantBlock];
    const unsigned codes_max = format == QuantFormat::kQ80 ? 256 : format == QuantFormat::kQ50 ? 32 : 16;
    for (int& code : codes) code = static_cast<int>(rng() % codes_max);
    if (format == QuantFormat::kQ80) {
      for (const int code : codes) {
        out.blocks.push_back(static_cast<std::byte>(code - 128));
        out.values.push_back(scale * static_cast<float>(code - 128));
      }
      continue;
    }
    const int middle = format == QuantFormat::kQ50 ? 16 : 8;
    for (int i = 0; format == QuantFormat::kQ50 && i < 32; i += 8) {
      int fifth_bits = 0;
      for (int j = 0; j < 8; ++j) fifth_bits |= codes[i + j] >> 4 << j;
      out.blocks.push_back(static_cast<std::byte>(fifth_bits));
    }
    for (int i = 0; i < 16; ++i)
      out.blocks.push_back(static_cast<std::byte>((codes[i] & 15) | (codes[i + 16] & 15) << 4));
    for (const int code : codes) {
      out.values.push_back(format == QuantFormat::kQ41 ? scale * static_cast<float>(code) + minimum
                                                       : scale * static_cast<float>(code - middle));
    }
  }
  return out;
}

std::vector<float> random_rows(int rows, int columns, std::uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(static_cast<std::size_t>(rows * columns));
  for (float& x : out) x = normal(rng);
  return out;
}

std::vector<float> product(const QuantMatmul& kernels, const PackedMatrix& packed,
                           const std::vector<float>& x, int rows) {
  QuantRows coded;
  kernels.quantise(x.data(), rows, packed.columns(), packed.columns(), coded);
  std::vector<float> out(static_cast<std::size_t>(rows * packed.rows()), std::nanf(""));
  const int half = packed.groups() / 2;  // as two threads would
  kernels.multiply(packed, coded, 0, half, out.data(), packed.rows());
  kernels.multiply(packed, coded, half, packed.groups(), out.data(), packed.rows());
  return out;
}

std::vector<const QuantMatmul*> all_kernels() {
  std::vector<const QuantMatmul*> out = {&quant_matmul_reference()};
  for (const Isa isa : {Isa::kAvx2, Isa::kAvx512}) {
    if (const QuantMatmul* kernels = quant_matmul(isa)) out.push_back(kernels);
  }
  return out;
}

TEST(QuantMatmul, IsTheProductWithinTheActivationsRounding) {
  for (const QuantMatmul* kernels : all_kernels()) {
    for (const auto format : {QuantFormat::kQ40, QuantFormat::kQ41, QuantFormat::kQ50, QuantFormat::kQ80}) {
      const int n = 83, k = 192, rows = 11;  // n is no multiple of a group
      const Weights weights = random_weights(format, n, k, 4);
      const PackedMatrix packed(format, n, k, weights.blocks.data());
      const auto x = random_rows(rows, k, 5);
      const auto got = product(*kernels, packed, x, rows);
      for (int r = 0; r < rows; ++r) {
        for (int i = 0; i < n; ++i) {
          double want = 0, size = 0;
          for (int c = 0; c < k; ++c) {
            const double w = weights.values[static_cast<std::size_t>(i * k + c)];
            want += w * x[static_cast<std::size_t>(r * k + c)];
            size += w * w;
          }
          // Rounding to 1/127 of a block's greatest (about 2.5 for normal values): 0.006 a weight.
          EXPECT_NEAR(got[static_cast<std::size_t>(r * n + i)], want, 6 * 0.006 * std::sqrt(size))
              << kernels->name << " format " << static_cast<int>(format) << " row " << r << " column " << i;
        }
      }
    }
  }
}

TEST(QuantMatmul, EveryKernelAgreesWithTheReference) {
  if (all_kernels().size() == 1) GTEST_SKIP() << "this CPU lacks the instructions";
  for (const auto format : {QuantFormat::kQ40, QuantFormat::kQ41, QuantFormat::kQ50, QuantFormat::kQ80}) {
    const Weights weights = random_weights(format, 64, 576, 8);
    const PackedMatrix packed(format, 64, 576, weights.blocks.data());
    const auto x = random_rows(9, 576, 6);
    const auto want = product(quant_matmul_reference(), packed, x, 9);
    for (const QuantMatmul* kernels : all_kernels()) {
      const auto got = product(*kernels, packed, x, 9);
      for (std::size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-4) << kernels->name;
    }
  }
}

TEST(QuantMatmul, ARowHasTheSameBitsInEveryBatch) {
  for (const QuantMatmul* kernels : all_kernels()) {
    const Weights weights = random_weights(QuantFormat::kQ41, 48, 320, 8);
    const PackedMatrix packed(QuantFormat::kQ41, 48, 320, weights.blocks.data());
    const auto x = random_rows(21, 320, 6);
    const auto together = product(*kernels, packed, x, 21);
    for (int first = 0; first < 21; ++first) {
      for (const int rows : {1, 2, 3, 5, 6, 7}) {
        if (first + rows > 21) continue;
        const std::vector<float> some(x.begin() + first * 320, x.begin() + (first + rows) * 320);
        const auto alone = product(*kernels, packed, some, rows);
        ASSERT_EQ(0, std::memcmp(alone.data(), together.data() + first * 48, alone.size() * sizeof(float)));
      }
    }
  }
}

/// The greatest codes of both signs, where sums of 16 bits would overflow first.
TEST(QuantMatmul, GreatestCodesDoNotOverflow) {
  for (const auto format : {QuantFormat::kQ40, QuantFormat::kQ41, QuantFormat::kQ50, QuantFormat::kQ80}) {
    Weights weights = random_weights(format, 16, 64, 8);
    const std::size_t bytes = quant_block_bytes(format);
    for (std::size_t i = 0; i < weights.blocks.size(); ++i) {
      const std::size_t head = format == QuantFormat::kQ41 ? 4 : 2;
      if (i % bytes >= head) weights.blocks[i] = std::byte(format == QuantFormat::kQ80 ? 0x7F : 0xFF);
    }
    const PackedMatrix packed(format, 16, 64, weights.blocks.data());
    for (const float sign : {1.0F, -1.0F}) {
      const std::vector<float> x(64, sign * 3);
      const auto want = product(quant_matmul_reference(), packed, x, 1);
      for (const QuantMatmul* kernels : all_kernels()) {
        const auto got = product(*kernels, packed, x, 1);
        for (std::size_t i = 0; i < want.size(); ++i)
          ASSERT_NEAR(got[i], want[i], 1e-3 * (1 + std::fabs(want[i]))) << kernels->name;
      }
    }
  }
}

TEST(QuantMatmul, ZerosGiveZeros) {
  for (const QuantMatmul* kernels : all_kernels()) {
    const Weights weights = random_weights(QuantFormat::kQ41, 16, 64, 8);
    const PackedMatrix packed(QuantFormat::kQ41, 16, 64, weights.blocks.data());
    for (const float x : product(*kernels, packed, std::vector<float>(64), 1)) EXPECT_EQ(x, 0);
  }
}

}  // namespace
}  // namespace pmt::kernels
