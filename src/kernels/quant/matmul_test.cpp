#include "kernels/quant/matmul.h"

#include <array>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/testing/quant_rows.h"

namespace pmt::kernels {

#if defined(PMT_EMULATED_AVX512)
const QuantMatmul* quant_matmul_vnni_emulated();
#endif

namespace {

using testing::random_blocks;
using testing::random_rows;

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

std::vector<const QuantMatmul*> fast_kernels() {
  std::vector<const QuantMatmul*> out;
  for (const Isa isa : {Isa::kAvx2, Isa::kAvx512, Isa::kAmx}) {
    if (const QuantMatmul* kernels = quant_matmul(isa)) out.push_back(kernels);
  }
#if defined(PMT_EMULATED_AVX512)
  // Its source is compiled for AVX2, into which SIMDe translates.
  if (quant_matmul(Isa::kAvx2) != nullptr && quant_matmul(Isa::kAvx512) == nullptr)
    out.push_back(quant_matmul_vnni_emulated());
#endif
  return out;
}

std::vector<const QuantMatmul*> all_kernels() {
  std::vector<const QuantMatmul*> out = fast_kernels();
  out.push_back(&quant_matmul_reference());
  return out;
}

#if defined(__x86_64__)
using TileConfig = std::array<unsigned char, 64>;

void load_tile_config(const TileConfig& config) {
  asm volatile("ldtilecfg %0" : : "m"(config));
}
void store_tile_config(TileConfig& config) {
  asm volatile("sttilecfg %0" : "=m"(config));
}
void release_tiles() {
  asm volatile("tilerelease");
}
#endif

class QuantMatmulTest : public ::testing::TestWithParam<QuantFormat> {};

TEST_P(QuantMatmulTest, IsTheProductWithinTheActivationsRounding) {
  const int n = 83, k = 512, rows = 11;  // n is no multiple of a group
  const auto blocks = random_blocks(GetParam(), n, k, 4);
  const PackedMatrix packed(GetParam(), n, k, blocks.data());
  const auto x = random_rows(rows, k, 5);
  std::vector<float> weights(k);
  for (const QuantMatmul* kernels : all_kernels()) {
    const auto got = product(*kernels, packed, x, rows);
    for (int i = 0; i < n; ++i) {
      packed.row(i, weights.data());
      for (int r = 0; r < rows; ++r) {
        double want = 0, size = 0;
        for (int c = 0; c < k; ++c) {
          const double w = weights[static_cast<std::size_t>(c)];
          want += w * x[static_cast<std::size_t>(r * k + c)];
          size += w * w;
        }
        // Rounding to 1/127 of a block's greatest (about 2.5 for normal values): 0.006 a weight.
        EXPECT_NEAR(got[static_cast<std::size_t>(r * n + i)], want, 6 * 0.006 * std::sqrt(size))
            << kernels->name << " row " << r << " column " << i;
      }
    }
  }
}

TEST_P(QuantMatmulTest, EveryKernelGivesTheReferencesBits) {
  if (fast_kernels().empty()) GTEST_SKIP() << "this CPU lacks the instructions";
  std::uint32_t seed = 0;
  for (const int n : {1, 7, 16, 23, 40, 65}) {
    for (const int k : {256, 768, 1280}) {
      const auto blocks = random_blocks(GetParam(), n, k, ++seed);
      const PackedMatrix packed(GetParam(), n, k, blocks.data());
      const auto x = random_rows(17, k, ++seed);
      for (int rows = 1; rows <= 17; rows += n > 7 && rows > 2 ? 5 : 1) {
        const auto want = product(quant_matmul_reference(), packed, x, rows);
        for (const QuantMatmul* kernels : fast_kernels()) {
          const auto got = product(*kernels, packed, x, rows);
          ASSERT_EQ(0, std::memcmp(got.data(), want.data(), got.size() * sizeof(float)))
              << kernels->name << ": " << n << " x " << k << ", " << rows << " rows";
        }
      }
    }
  }
}

/// Tiles that are full, that aren't, and that come after a panel of 1024 columns.
TEST_P(QuantMatmulTest, AmxGivesTheReferencesBits) {
  const QuantMatmul* const amx = quant_matmul(Isa::kAmx);
  if (amx == nullptr) GTEST_SKIP() << "this CPU, or what runs it, has no AMX for 8 bits";
  std::uint32_t seed = 100;
  for (const auto& [n, k] : {std::pair(1, 256), {16, 1024}, {23, 1280}, {65, 2304}}) {
    const auto blocks = random_blocks(GetParam(), n, k, ++seed);
    const PackedMatrix packed(GetParam(), n, k, blocks.data());
    const auto x = random_rows(65, k, ++seed);
    for (const int rows : {1, 12, 13, 15, 16, 17, 31, 32, 33, 65}) {
      const auto want = product(quant_matmul_reference(), packed, x, rows);
      const auto got = product(*amx, packed, x, rows);
      ASSERT_EQ(0, std::memcmp(got.data(), want.data(), got.size() * sizeof(float)))
          << n << " x " << k << ", " << rows << " rows";
    }
  }
}

#if defined(__x86_64__)
/// As ggml's products leave a thread's tiles, and expect them.
TEST_P(QuantMatmulTest, AmxLeavesTheThreadsTilesAsTheyWere) {
  const QuantMatmul* const amx = quant_matmul(Isa::kAmx);
  if (amx == nullptr) GTEST_SKIP() << "this CPU, or what runs it, has no AMX for 8 bits";
  const auto blocks = random_blocks(GetParam(), 16, 256, 8);
  const PackedMatrix packed(GetParam(), 16, 256, blocks.data());
  const auto x = random_rows(16, 256, 9);
  alignas(64) std::array<unsigned char, 64> config{}, after{};
  product(*amx, packed, x, 16);
  store_tile_config(after);
  EXPECT_EQ(after, config);
  config[0] = 1;
  config[16] = 48;  // the first tile's bytes a row
  config[48] = 3;   // its rows
  load_tile_config(config);
  product(*amx, packed, x, 16);
  store_tile_config(after);
  release_tiles();
  EXPECT_EQ(after, config);
}
#endif

TEST_P(QuantMatmulTest, ARowHasTheSameBitsInEveryBatch) {
  constexpr int kRows = 33, kColumns = 512;
  const auto blocks = random_blocks(GetParam(), 48, kColumns, 8);
  const PackedMatrix packed(GetParam(), 48, kColumns, blocks.data());
  const auto x = random_rows(kRows, kColumns, 6);
  for (const QuantMatmul* kernels : fast_kernels()) {
    const auto together = product(*kernels, packed, x, kRows);
    for (int rows = 1; rows <= 17; ++rows) {
      for (int first = 0; first + rows <= kRows; first += rows) {
        const std::vector<float> some(x.begin() + first * kColumns, x.begin() + (first + rows) * kColumns);
        const auto alone = product(*kernels, packed, some, rows);
        ASSERT_EQ(0, std::memcmp(alone.data(), together.data() + first * 48, alone.size() * sizeof(float)))
            << kernels->name << ", " << rows << " rows from " << first;
      }
    }
  }
}

/// The greatest codes of both signs, where sums of 16 bits would overflow first.
TEST_P(QuantMatmulTest, GreatestCodesDoNotOverflow) {
  for (const unsigned fill : {0x00U, 0xFFU, 0x7FU, 0x80U}) {
    auto blocks = random_blocks(GetParam(), 16, 256, 8);
    const auto halves = random_blocks(GetParam(), 16, 256, 8);
    const auto bytes = static_cast<std::size_t>(quant_shape(GetParam()).file_bytes);
    const std::size_t half_at = GetParam() == QuantFormat::kQ6K ? 208 : 0;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      if (i % bytes < half_at || i % bytes >= half_at + 2) blocks[i] = static_cast<std::byte>(fill);
      const bool minimum = GetParam() == QuantFormat::kQ41 || GetParam() == QuantFormat::kQ4K ||
                           GetParam() == QuantFormat::kQ5K;
      if (minimum && i % bytes >= 2 && i % bytes < 4) blocks[i] = halves[i];
    }
    const PackedMatrix packed(GetParam(), 16, 256, blocks.data());
    for (const float sign : {1.0F, -1.0F}) {
      constexpr int kRows = 16;  // a tile's
      const std::vector<float> x(std::size_t{256} * kRows, sign * 3);
      const auto want = product(quant_matmul_reference(), packed, x, kRows);
      for (const QuantMatmul* kernels : fast_kernels()) {
        const auto got = product(*kernels, packed, x, kRows);
        ASSERT_EQ(0, std::memcmp(got.data(), want.data(), got.size() * sizeof(float))) << kernels->name;
      }
      for (std::size_t i = 0; i < kPackedRows; ++i) {
        std::vector<float> weights(256);
        packed.row(static_cast<int>(i), weights.data());
        double sum = 0, size = 0;
        for (const float w : weights) sum += sign * 3 * double{w}, size += 3 * std::fabs(double{w});
        ASSERT_NEAR(want[i], sum, 1e-5 * size + 1e-4);
      }
    }
  }
}

TEST_P(QuantMatmulTest, ZerosGiveZeros) {
  for (const QuantMatmul* kernels : all_kernels()) {
    const auto blocks = random_blocks(GetParam(), 16, 256, 8);
    const PackedMatrix packed(GetParam(), 16, 256, blocks.data());
    for (const float x : product(*kernels, packed, std::vector<float>(std::size_t{16} * 256), 16))
      EXPECT_EQ(x, 0);
  }
}

std::string name_of(const ::testing::TestParamInfo<QuantFormat>& format) {
  const char* const names[] = {"Q4_0", "Q4_1", "Q5_0", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"};
  return names[static_cast<int>(format.param)];
}

INSTANTIATE_TEST_SUITE_P(Formats, QuantMatmulTest, ::testing::ValuesIn(kQuantFormats), name_of);

}  // namespace
}  // namespace pmt::kernels
