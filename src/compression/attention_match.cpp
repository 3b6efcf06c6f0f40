#include "compression/attention_match.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/cholesky.h"
#include "kernels/attention.h"

namespace pmt::compression {
namespace {

constexpr float kBiasMax = 3;        // either way
constexpr float kBiasRidge = 1e-2F;  // of the shares' mean square a token
constexpr double kValueRidge = 1;    // of the mean diagonal: half of what one row alone misses is made up
constexpr int kSteps = 100;
constexpr float kTiny = 1e-20F;  // queries that look at evicted tokens alone leave no share to fit to

/// Sums in sixteen lanes: the compiler may not reorder a plain sum.
float dot(const float* a, const float* b, std::size_t n) {
  float lanes[16] = {};
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (std::size_t l = 0; l < 16; ++l) lanes[l] += a[i + l] * b[i + l];
  }
  for (; i < n; ++i) lanes[i % 16] += a[i] * b[i];
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

void add_scaled(float factor, const float* from, float* to, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) to[i] += factor * from[i];
}

}  // namespace

void MatchFit::fit(std::span<const float> rows, const Seen& whole, std::span<const float> keys,
                   std::span<float> values, std::span<std::int8_t> biases) {
  rows_ = whole.log_sum.size();
  kept_ = biases.size();
  CHECK(rows.size() == rows_ * head_dim_ && keys.size() == kept_ * head_dim_ && values.size() == keys.size());
  find_shares(rows, whole, keys);
  find_biases(biases);
  refit_values(whole, values);
}

void MatchFit::find_shares(std::span<const float> rows, const Seen& whole, std::span<const float> keys) {
  shares_.resize(rows_ * kept_);
  for (std::size_t r = 0; r < rows_; ++r) {
    for (std::size_t t = 0; t < kept_; ++t)
      shares_[r * kept_ + t] =
          std::exp(dot(&rows[r * head_dim_], &keys[t * head_dim_], head_dim_) - whole.log_sum[r]);
  }
}

/// Accelerated projected gradient (FISTA) on half of |A w - 1|^2 + ridge |w - 1|^2.
void MatchFit::find_biases(std::span<std::int8_t> biases) {
  float power = kTiny;  // |A|^2, an upper bound on the greatest eigenvalue of A'A
  for (const float share : shares_) power += share * share;
  const auto ridge = kBiasRidge * power / static_cast<float>(kept_);
  const float step = 1 / (power + ridge);
  const float least = std::exp(-kBiasMax), most = 1 / least;
  weights_.assign(kept_, 1);
  ahead_ = before_ = weights_;
  gradient_.resize(kept_);
  double momentum = 1;
  for (int i = 0; i < kSteps; ++i) {
    for (std::size_t t = 0; t < kept_; ++t) gradient_[t] = ridge * (ahead_[t] - 1);
    for (std::size_t r = 0; r < rows_; ++r) {
      const float* shares = &shares_[r * kept_];
      add_scaled(dot(shares, ahead_.data(), kept_) - 1, shares, gradient_.data(), kept_);
    }
    std::swap(before_, weights_);
    const double next = (1 + std::sqrt(1 + 4 * momentum * momentum)) / 2;
    const auto on = static_cast<float>((momentum - 1) / next);
    momentum = next;
    for (std::size_t t = 0; t < kept_; ++t) {
      weights_[t] = std::clamp(ahead_[t] - step * gradient_[t], least, most);
      ahead_[t] = weights_[t] + on * (weights_[t] - before_[t]);
    }
  }
  for (std::size_t t = 0; t < kept_; ++t) {
    biases[t] = static_cast<std::int8_t>(std::lround(std::log(weights_[t]) / kernels::kBiasStep));
    weights_[t] = std::exp(static_cast<float>(biases[t]) * kernels::kBiasStep);
  }
}

/// V += P' (P P' + ridge)^-1 (O - P V), P the rows' softmax over the kept tokens with their biases.
void MatchFit::refit_values(const Seen& whole, std::span<float> values) {
  std::vector<float>& missed = ahead_;
  missed.assign(rows_ * head_dim_, 0);
  for (std::size_t r = 0; r < rows_; ++r) {
    float* shares = &shares_[r * kept_];
    const float inverse = 1 / std::max(kTiny, dot(shares, weights_.data(), kept_));
    for (std::size_t t = 0; t < kept_; ++t) shares[t] *= weights_[t] * inverse;
    std::copy_n(&whole.mean[r * head_dim_], head_dim_, &missed[r * head_dim_]);
    for (std::size_t t = 0; t < kept_; ++t)
      add_scaled(-shares[t], &values[t * head_dim_], &missed[r * head_dim_], head_dim_);
  }
  std::vector<double> gram(rows_ * rows_);
  double diagonal = 0;
  for (std::size_t r = 0; r < rows_; ++r) {
    for (std::size_t s = 0; s <= r; ++s)
      gram[r * rows_ + s] = dot(&shares_[r * kept_], &shares_[s * kept_], kept_);
    diagonal += gram[r * rows_ + r] / static_cast<double>(rows_);
  }
  for (std::size_t r = 0; r < rows_; ++r) gram[r * rows_ + r] += kValueRidge * diagonal;
  base::factor_cholesky(gram.data(), rows_, 1e-30);
  std::vector<double> column(rows_);
  for (std::size_t d = 0; d < head_dim_; ++d) {
    for (std::size_t r = 0; r < rows_; ++r) column[r] = missed[r * head_dim_ + d];
    base::solve_cholesky(gram.data(), rows_, column.data());
    for (std::size_t r = 0; r < rows_; ++r) missed[r * head_dim_ + d] = static_cast<float>(column[r]);
  }
  for (std::size_t r = 0; r < rows_; ++r) {
    for (std::size_t t = 0; t < kept_; ++t)
      add_scaled(shares_[r * kept_ + t], &missed[r * head_dim_], &values[t * head_dim_], head_dim_);
  }
}

}  // namespace pmt::compression
