#include "compression/evicted_summary.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "base/cholesky.h"
#include "kernels/f16.h"
#include "kernels/page_layout.h"

namespace pmt::compression {
namespace {

constexpr float kShareMin = 1e-4F;  // a query that hardly sees the evicted tokens still counts so much
constexpr double kKeyRidge = 1e-2;  // of the mean diagonal; pulls the key towards the evicted keys' mean

}  // namespace

SummaryFit::SummaryFit(const kernels::AttentionKernels& kernels, int head_dim, bool rotated)
    : kernels_(kernels),
      head_dim_(head_dim),
      rotated_(rotated),
      key_sum_(static_cast<std::size_t>(head_dim)),
      scratch_(std::make_unique<kernels::Scratch>()) {}

void SummaryFit::begin() {
  kept_.count = evicted_.count = 0;
  std::fill(key_sum_.begin(), key_sum_.end(), 0.0);
}

void SummaryFit::append(Tokens& to, const float* key, const float* value) {
  const std::size_t page_bytes = kernels::f16_page_bytes(head_dim_);
  const auto page = static_cast<std::size_t>(to.count / kernels::kPageTokens);
  if (to.pages.size() < (page + 1) * page_bytes) to.pages.resize((page + 1) * page_bytes * 2);
  kernels_.store_f16(key, value, head_dim_, to.count % kernels::kPageTokens,
                     to.pages.data() + page * page_bytes);
  ++to.count;
}

void SummaryFit::add(const float* key, const float* value, bool kept) {
  append(kept ? kept_ : evicted_, key, value);
  if (kept) return;
  for (std::size_t d = 0; d < key_sum_.size(); ++d) key_sum_[d] += key[d];
}

Seen SummaryFit::see_tokens(const Tokens& tokens, const std::vector<float>& rows) {
  std::vector<std::uint32_t> ids(static_cast<std::size_t>(tokens.count / kernels::kPageTokens + 1));
  std::iota(ids.begin(), ids.end(), 0U);
  kernels::HeadPages pages;
  pages.pool = tokens.pages.data();
  pages.unit_bytes = kernels::f16_page_bytes(head_dim_);
  pages.ids = ids.data();
  return see(pages, tokens.count, rows, head_dim_, kernels_, *scratch_);
}

/// (key's difference from the mean, bias) by weighted ridge regression; the value by weighted mean.
SummaryFit::Fitted SummaryFit::regress(const std::vector<float>& rows, const Seen& evicted,
                                       const Seen& kept) const {
  const auto width = static_cast<std::size_t>(head_dim_);
  const std::size_t n = width + 1;
  std::vector<double> a(n * n), b(n), x(n), value(width);
  std::vector<double> mean(width);
  for (std::size_t d = 0; d < width; ++d) mean[d] = key_sum_[d] / evicted_.count;
  double weights = 0;
  for (std::size_t r = 0; r < evicted.log_sum.size(); ++r) {
    const double share = 1 / (1 + std::exp(double{kept.log_sum[r]} - evicted.log_sum[r]));
    const double weight = std::max<double>(share, kShareMin);
    double wanted = evicted.log_sum[r];
    for (std::size_t d = 0; d < width; ++d) {
      x[d] = rows[r * width + d];
      wanted -= x[d] * mean[d];
      value[d] += weight * weight * evicted.mean[r * width + d];
    }
    x[width] = 1;
    weights += weight * weight;
    for (std::size_t i = 0; i < n; ++i) {
      const double scaled = weight * x[i];
      for (std::size_t j = 0; j <= i; ++j) a[i * n + j] += scaled * x[j];
      b[i] += scaled * wanted;
    }
  }
  double diagonal = 0;
  for (std::size_t d = 0; d < n; ++d) diagonal += a[d * n + d] / static_cast<double>(n);
  for (std::size_t d = 0; d < width; ++d) a[d * n + d] += kKeyRidge * diagonal;
  base::factor_cholesky(a.data(), n, 1e-30);
  base::solve_cholesky(a.data(), n, b.data());
  Fitted out{std::vector<float>(2 * width), static_cast<float>(b[width])};
  for (std::size_t d = 0; d < width; ++d) {
    out.vectors[d] = static_cast<float>(mean[d] + b[d]);
    out.vectors[width + d] = static_cast<float>(value[d] / weights);
  }
  return out;
}

void SummaryFit::finish(const std::vector<float>& rows, float share, std::size_t table,
                        kv_cache::Summaries& to) {
  CHECK(kept_.count > 0);
  if (evicted_.count == 0) return;
  const Seen evicted = see_tokens(evicted_, rows);
  const Seen kept = see_tokens(kept_, rows);
  Fitted fitted = regress(rows, evicted, kept);
  float* const vectors = fitted.vectors.data();
  if (rotated_) {
    kernels_.rotate(vectors, vectors, head_dim_);
    kernels_.rotate(vectors + head_dim_, vectors + head_dim_, head_dim_);
  }
  std::transform(fitted.vectors.begin(), fitted.vectors.end(), to.vectors(table), kernels::f32_to_f16);
  const float given = std::log(share);
  const float top = *std::max_element(evicted.log_sum.begin(), evicted.log_sum.end());
  to.set(table, fitted.bias + given, top + given);
}

}  // namespace pmt::compression
