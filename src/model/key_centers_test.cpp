#include "model/key_centers.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace pmt::model {
namespace {

constexpr int kDim = 128, kRopeDims = 96;

Hparams hparams(RopePairs pairs) {
  Hparams out;
  out.head_dim = kDim;
  out.rope_dims = kRopeDims;
  out.architecture.rope_pairs = pairs;
  return out;
}

double length(const std::vector<float>& v) {
  double sum = 0;
  for (const float x : v) sum += double{x} * x;
  return std::sqrt(sum);
}

/// A long bias where RoPE turns slowest and a short one elsewhere, as in Qwen 2.
std::vector<float> bias(RopePairs pairs) {
  const bool adjacent = pairs == RopePairs::kAdjacent;
  std::vector<float> out(kDim, 1.0F);
  out[adjacent ? kRopeDims - 2 : kRopeDims / 2 - 1] = 400;
  out[kRopeDims - 1] = -200;
  out[kDim - 1] = 50;  // never turned
  return out;
}

std::vector<float> turned(const std::vector<float>& key, const RopeTable& rope, int position) {
  RopeTable at = rope;
  at.fill(std::vector<int>{position});
  std::vector<float> out = key;
  at.rotate(0, key.data(), out.data());
  return out;
}

class KeyCentersTest : public testing::TestWithParam<RopePairs> {
 protected:
  RopeTable rope_{hparams(GetParam()), 1'000'000.0F, {}};
  std::vector<float> bias_ = bias(GetParam());
  std::vector<float> center_ = key_center(bias_, rope_);
};

TEST_P(KeyCentersTest, WhatRopeHardlyTurnsIsTakenWhereverAKeyStands) {
  ASSERT_EQ(center_.size(), bias_.size());
  EXPECT_FLOAT_EQ(center_[kDim - 1], 50);
  for (const int position : {0, 100, 2'000, 8'000}) {
    std::vector<float> left = turned(bias_, rope_, position);
    for (int d = 0; d < kDim; ++d) left[static_cast<std::size_t>(d)] -= center_[static_cast<std::size_t>(d)];
    EXPECT_LT(length(left), 0.04 * length(bias_)) << position;
  }
}

TEST_P(KeyCentersTest, ACenteredKeyCanBeTurnedOn) {
  constexpr int kBefore = 700, kLater = 1'500;
  std::vector<float> key = bias_;
  for (int d = 0; d < kDim; ++d) key[static_cast<std::size_t>(d)] += std::sin(static_cast<float>(d));
  const auto there = turned(key, rope_, kBefore), wanted = turned(key, rope_, kBefore + kLater);
  const auto shift = centers_turned(center_, kDim, rope_.turn(kLater));
  std::vector<float> centered = there;
  for (std::size_t d = 0; d < kDim; ++d) centered[d] -= center_[d];
  const auto moved = turned(centered, rope_, kLater);
  for (std::size_t d = 0; d < kDim; ++d) EXPECT_NEAR(moved[d] + shift[d], wanted[d] - center_[d], 2e-3) << d;
}

INSTANTIATE_TEST_SUITE_P(Pairs, KeyCentersTest, testing::Values(RopePairs::kHalves, RopePairs::kAdjacent));

}  // namespace
}  // namespace pmt::model
