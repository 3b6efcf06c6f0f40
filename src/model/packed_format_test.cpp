// Our packed matrices against ggml's own reading of the same blocks.
#include "model/packed_format.h"

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/quant/matmul.h"

namespace pmt::model {
namespace {

using kernels::PackedMatrix;

struct Quantised {
  std::vector<std::byte> blocks;
  std::vector<float> values;  // as ggml reads the blocks, [rows, columns]
};

/// Weights as ggml quantises them. One in a hundred is ten times as great, and one row is all zeros.
Quantised quantised(ggml_type type, int rows, int columns, std::uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal(0, 0.03F);
  std::vector<float> weights(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns));
  for (float& w : weights) w = normal(rng) * (rng() % 100 == 0 ? 10.0F : 1.0F);
  if (rows > 2) std::fill_n(weights.begin() + columns, columns, 0.0F);
  Quantised out;
  out.blocks.resize(ggml_row_size(type, columns) * static_cast<std::size_t>(rows));
  ggml_quantize_chunk(type, weights.data(), out.blocks.data(), 0, rows, columns, nullptr);
  out.values.resize(weights.size());
  for (int row = 0; row < rows; ++row) {
    ggml_get_type_traits(type)->to_float(
        out.blocks.data() + ggml_row_size(type, columns) * static_cast<std::size_t>(row),
        out.values.data() + std::ptrdiff_t{row} * columns, columns);
  }
  return out;
}

class PackedFormatTest : public ::testing::TestWithParam<ggml_type> {};

TEST_P(PackedFormatTest, RowsAreWhatGgmlReads) {
  for (const int rows : {1, 5, 16, 33}) {
    const int columns = 768;
    const Quantised weights = quantised(GetParam(), rows, columns, static_cast<std::uint32_t>(rows));
    const PackedMatrix packed(*packed_format(GetParam()), rows, columns, weights.blocks.data());
    std::vector<float> row(columns);
    for (int i = 0; i < rows; ++i) {
      packed.row(i, row.data());
      for (int c = 0; c < columns; ++c)
        ASSERT_FLOAT_EQ(row[static_cast<std::size_t>(c)],
                        weights.values[static_cast<std::size_t>(i * columns + c)]);
    }
    // Sixteen rows' bytes are the file's, not one more.
    if (rows == 16) {
      EXPECT_EQ(packed.bytes(), weights.blocks.size());
    }
  }
}

TEST_P(PackedFormatTest, ProductsAreThoseOfGgmlsWeights) {
  const auto* kernels = kernels::quant_matmul();
  if (kernels == nullptr) kernels = &kernels::quant_matmul_reference();
  std::mt19937 rng(3);
  std::normal_distribution<float> normal;
  for (int rows = 1; rows <= 17; ++rows) {
    const int n = 1 + static_cast<int>(rng() % 70), columns = 256 * (1 + static_cast<int>(rng() % 4));
    const Quantised weights = quantised(GetParam(), n, columns, rng());
    const PackedMatrix packed(*packed_format(GetParam()), n, columns, weights.blocks.data());
    std::vector<float> x(static_cast<std::size_t>(rows * columns));
    for (float& value : x) value = normal(rng);
    kernels::QuantRows coded;
    kernels->quantise(x.data(), rows, columns, columns, coded);
    std::vector<float> got(static_cast<std::size_t>(rows * n));
    kernels->multiply(packed, coded, 0, packed.groups(), got.data(), n);
    for (int r = 0; r < rows; ++r) {
      for (int i = 0; i < n; ++i) {
        double want = 0, size = 0;
        for (int c = 0; c < columns; ++c) {
          const double w = weights.values[static_cast<std::size_t>(i * columns + c)];
          want += w * x[static_cast<std::size_t>(r * columns + c)];
          size += w * w;
        }
        // Activations are rounded to 1/127 of their block's greatest (about 2.5): 0.006 each.
        ASSERT_NEAR(got[static_cast<std::size_t>(r * n + i)], want, 6 * 0.006 * std::sqrt(size) + 1e-5)
            << rows << " rows by " << n << " x " << columns;
      }
    }
  }
}

std::string name_of(const ::testing::TestParamInfo<ggml_type>& type) {
  return ggml_type_name(type.param);
}

INSTANTIATE_TEST_SUITE_P(Types, PackedFormatTest,
                         ::testing::Values(GGML_TYPE_Q4_0, GGML_TYPE_Q4_1, GGML_TYPE_Q5_0, GGML_TYPE_Q8_0,
                                           GGML_TYPE_Q4_K, GGML_TYPE_Q5_K, GGML_TYPE_Q6_K, GGML_TYPE_IQ4_NL,
                                           GGML_TYPE_IQ4_XS),
                         name_of);

}  // namespace
}  // namespace pmt::model
