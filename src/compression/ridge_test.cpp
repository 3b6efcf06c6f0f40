#include "compression/ridge.h"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "base/cholesky.h"

namespace pmt::compression {
namespace {

constexpr std::size_t kInputs = 37, kAnswers = 3, kRows = 400;
constexpr double kStrength = 20;

/// Correlated inputs of different sizes, one of them constant, and answers that depend on them.
struct Data {
  std::vector<float> inputs, answers;

  explicit Data(unsigned seed) {
    std::mt19937 rng(seed);
    std::normal_distribution<float> normal(0, 1);
    for (std::size_t r = 0; r < kRows; ++r) {
      const float common = normal(rng);
      for (std::size_t i = 0; i < kInputs; ++i) {
        const auto size = static_cast<float>(1 + i % 5 * 10);
        inputs.push_back(i == 7 ? 3 : size * (0.6F * common + normal(rng)) + 4 * size);
      }
      const float* row = inputs.data() + r * kInputs;
      for (std::size_t a = 0; a < kAnswers; ++a)
        answers.push_back(row[a] - 0.1F * row[a + 9] - 8 + 0.5F * normal(rng));
    }
  }
  std::span<const float> some(std::size_t first, std::size_t count) const {
    return std::span(inputs).subspan(first * kInputs, count * kInputs);
  }
  std::span<const float> answers_of(std::size_t first, std::size_t count) const {
    return std::span(answers).subspan(first * kAnswers, count * kAnswers);
  }
};

void add_all(Ridge& ridge, const Data& data, std::size_t block) {
  for (std::size_t first = 0; first < kRows; first += block) {
    const std::size_t count = std::min(block, kRows - first);
    ridge.add(data.some(first, count), data.answers_of(first, count));
  }
}

std::vector<float> solved(Ridge& ridge, int steps_at_once) {
  ridge.begin(kStrength);
  while (!ridge.improve(steps_at_once)) {
  }
  return ridge.weights();
}

/// The textbook's way, in doubles.
std::vector<double> by_cholesky(const Data& data, std::size_t answer) {
  std::vector<double> mean(kInputs), deviation(kInputs), matrix(kInputs * kInputs), x(kInputs);
  double answer_mean = 0;
  for (std::size_t r = 0; r < kRows; ++r) {
    answer_mean += data.answers[r * kAnswers + answer] / double{kRows};
    for (std::size_t i = 0; i < kInputs; ++i) mean[i] += data.inputs[r * kInputs + i] / double{kRows};
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t i = 0; i < kInputs; ++i)
      deviation[i] += std::pow(data.inputs[r * kInputs + i] - mean[i], 2) / double{kRows};
  }
  for (double& each : deviation) each = each > 0 ? std::sqrt(each) : 1;
  for (std::size_t r = 0; r < kRows; ++r) {
    const auto scaled = [&](std::size_t i) {
      return (data.inputs[r * kInputs + i] - mean[i]) / deviation[i];
    };
    for (std::size_t i = 0; i < kInputs; ++i) {
      for (std::size_t j = 0; j < kInputs; ++j) matrix[i * kInputs + j] += scaled(i) * scaled(j);
      x[i] += scaled(i) * (data.answers[r * kAnswers + answer] - answer_mean);
    }
  }
  for (std::size_t i = 0; i < kInputs; ++i) matrix[i * kInputs + i] += kStrength;
  base::factor_cholesky(matrix.data(), kInputs);
  base::solve_cholesky(matrix.data(), kInputs, x.data());
  double constant = answer_mean;
  for (std::size_t i = 0; i < kInputs; ++i) {
    x[i] /= deviation[i];
    constant -= x[i] * mean[i];
  }
  x.push_back(constant);
  return x;
}

TEST(Ridge, SolvesWhatTheTextbookSolves) {
  const Data data(1);
  Ridge ridge(kInputs, kAnswers);
  add_all(ridge, data, 64);
  const auto weights = solved(ridge, 5);
  ASSERT_EQ(weights.size(), kAnswers * (kInputs + 1));
  for (std::size_t a = 0; a < kAnswers; ++a) {
    const auto want = by_cholesky(data, a);
    const float* row = weights.data() + a * (kInputs + 1);
    EXPECT_EQ(row[7], 0) << "an input that never changes says nothing";
    for (std::size_t r = 0; r < kRows; r += 7) {
      double guess = row[kInputs], wanted = want[kInputs];
      for (std::size_t i = 0; i < kInputs; ++i) {
        guess += double{row[i]} * data.inputs[r * kInputs + i];
        wanted += want[i] * data.inputs[r * kInputs + i];
      }
      EXPECT_NEAR(guess, wanted, 0.02);
    }
  }
}

TEST(Ridge, ManySmallPiecesGiveTheSameBits) {
  const Data data(2);
  Ridge one(kInputs, kAnswers), other(kInputs, kAnswers);
  add_all(one, data, 64);
  add_all(other, data, 64);
  EXPECT_EQ(solved(one, 1), solved(other, 1000));
}

TEST(Ridge, GoesOnFromItsSolutionWhenMoreIsAdded) {
  const Data data(3);
  Ridge all(kInputs, kAnswers), later(kInputs, kAnswers);
  add_all(all, data, 64);
  later.add(data.some(0, 320), data.answers_of(0, 320));
  const auto before = solved(later, 10);
  later.add(data.some(320, 80), data.answers_of(320, 80));
  const auto after = solved(later, 10), want = solved(all, 10);
  EXPECT_NE(before, after);
  for (std::size_t i = 0; i < want.size(); ++i)
    EXPECT_NEAR(after[i], want[i], 0.02 + 0.002 * std::abs(want[i]));
}

}  // namespace
}  // namespace pmt::compression
