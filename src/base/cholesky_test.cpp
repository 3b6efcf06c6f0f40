#include "base/cholesky.h"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace pmt::base {
namespace {

TEST(Cholesky, SolvesWhatAMatrixTimesAVectorGave) {
  constexpr std::size_t kN = 17;
  std::mt19937 rng(4);
  std::normal_distribution<double> normal;
  std::vector<double> root(kN * kN), a(kN * kN), x(kN), b(kN);
  for (double& each : root) each = normal(rng);
  for (double& each : x) each = normal(rng);
  for (std::size_t i = 0; i < kN; ++i) {
    for (std::size_t j = 0; j < kN; ++j) {
      a[i * kN + j] = i == j ? 0.1 : 0;
      for (std::size_t k = 0; k < kN; ++k) a[i * kN + j] += root[i * kN + k] * root[j * kN + k];
      b[i] += a[i * kN + j] * x[j];
    }
  }
  // The upper triangle is nobody's.
  for (std::size_t i = 0; i < kN; ++i) {
    for (std::size_t j = i + 1; j < kN; ++j) a[i * kN + j] = std::nan("");
  }
  factor_cholesky(a.data(), kN);
  solve_cholesky(a.data(), kN, b.data());
  for (std::size_t i = 0; i < kN; ++i) EXPECT_NEAR(b[i], x[i], 1e-9) << i;
}

TEST(Cholesky, ALeastPivotKeepsASingularMatrixUsable) {
  std::vector<double> a{1, 0, 1, 1};  // rows (1, 1) and (1, 1)
  factor_cholesky(a.data(), 2, 1e-12);
  EXPECT_EQ(a[0], 1);
  EXPECT_EQ(a[2], 1);
  EXPECT_DOUBLE_EQ(a[3], 1e-6);
}

}  // namespace
}  // namespace pmt::base
