// Attention matching (note 0018): what a compressed table keeps is made to answer like the whole. Each kept
// token gets a bias, which stands for the softmax share of the evicted tokens that were looked at like it,
// and the kept values are refitted, so that the reference queries see the mean value that they saw before.
//
// The biases: nonnegative least squares. With a_rt the share that row r's softmax over all tokens gives the
// kept token t, the weights w_t = exp(bias_t) make sum_t a_rt w_t = 1 for every row, pulled towards 1. The
// values: ridge regression from the values as they were, in its dual form, since rows are fewer than tokens.
//
// Thread-safety: a MatchFit belongs to one thread. Cost: a byte a kept token; 400 * rows * kept FLOPs for the biases, rows^2
// * kept for the values, and every page read once for each 48 rows.
// Source: attention matching (arXiv 2602.16284), which chooses the kept tokens by it too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compression/seen.h"

namespace pmt::compression {

class MatchFit {
 public:
  explicit MatchFit(int head_dim) : head_dim_(static_cast<std::size_t>(head_dim)) {}

  /// `rows` [n, head_dim], scaled; `keys` and `values` [biases.size(), head_dim] in slot order: the values
  /// are refitted in place.
  void fit(std::span<const float> rows, const Seen& whole, std::span<const float> keys,
           std::span<float> values, std::span<std::int8_t> biases);

 private:
  void find_shares(std::span<const float> rows, const Seen& whole, std::span<const float> keys);
  void find_biases(std::span<std::int8_t> biases);
  void refit_values(const Seen& whole, std::span<float> values);

  std::size_t head_dim_;
  std::size_t rows_ = 0, kept_ = 0;
  std::vector<float> shares_;  // [rows, kept]
  std::vector<float> weights_, ahead_, before_, gradient_;
};

}  // namespace pmt::compression
