#include "response_cache/semantic_rule.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "base/cholesky.h"

namespace pmt::response_cache {
namespace {

using Vector = std::array<double, kFigures>;

/// Fitted by `eval semantic --fit` on the tuning halves of its sets, each set weighing the same.
constexpr Vector kShipped = {-2.531, 0.965, 6.561, 3.215, -0.774, -0.487, -1.013, 0.457, -0.095};
/// How firmly, in labels' worth of curvature.
constexpr double kPriorPrecision = 2.0;

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (int i = 0; i < kFigures; ++i) sum += a[i] * b[i];
  return sum;
}

double sigmoid(double z) {
  return 1 / (1 + std::exp(-std::clamp(z, -30.0, 30.0)));
}

/// The regularised incomplete beta function, by its continued fraction (Lentz; Numerical Recipes, 6.4).
double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x));
  if (x > (a + 1) / (a + b + 2)) return 1 - incomplete_beta(b, a, 1 - x);
  double c = 1, d = 1 / std::max(1e-300, 1 - (a + b) * x / (a + 1)), sum = d;
  for (int m = 1; m < 300; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / (1 + even * d);
    c = 1 + even / c;
    sum *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / (1 + odd * d);
    c = 1 + odd / c;
    const double step = d * c;
    sum *= step;
    if (std::fabs(step - 1) < 1e-12) break;
  }
  return front * sum / a;
}

}  // namespace

double upper_bound(double wrong, double count, double confidence) {
  if (count <= 0 || wrong >= count) return 1;
  if (wrong <= 0) return 1 - std::pow(1 - confidence, 1 / count);
  double low = wrong / count, high = 1;
  for (int i = 0; i < 40; ++i) {
    const double middle = (low + high) / 2;
    (incomplete_beta(wrong + 1, count - wrong, middle) < confidence ? low : high) = middle;
  }
  return high;
}

PairFigures figures_of(const PairEvidence& e) {
  const double closeness = -std::log(std::max(1 - e.cosine, 0.0) + 0.01);  // 0 at .0, 1.6 at .8, 3.9 at .99
  const double lead = e.rival > 0 ? std::clamp(e.cosine - e.rival, -0.2, 0.3) : 0.3;
  const double record = std::log((e.agreed + 1.0) / (e.disagreed + 1.0));
  return {{1, closeness, lead, e.likeness.shared, e.likeness.substituted, e.likeness.contained,
           e.likeness.named, record, e.disagreed > 0 ? 1.0 : 0.0}};
}

SemanticRule::SemanticRule(Options options) : options_(options), weights_(kShipped) {}

void SemanticRule::learn(const PairFigures& pair, bool agree) {
  const std::lock_guard lock(mutex_);
  labels_.push_back({pair, agree});
  if (labels_.size() > options_.labels_max) labels_.pop_front();
  ++learnt_;
  cuts_.clear();
  if (learnt_ < refit_at_) return;
  refit();
  refit_at_ = learnt_ + std::max<std::size_t>(32, learnt_ / 16);
}

/// Newton's method on the labels' likelihood and the shipped coefficients as a Gaussian prior.
void SemanticRule::refit() {
  Vector w = weights_;
  for (int round = 0; round < 8; ++round) {
    std::array<double, std::size_t{kFigures} * kFigures> curvature{};  // its lower triangle
    Vector step{};                                                     // the gradient, then what it comes to
    for (int i = 0; i < kFigures; ++i) {
      curvature[i * kFigures + i] = kPriorPrecision;
      step[i] = kPriorPrecision * (kShipped[i] - w[i]);
    }
    for (const Label& label : labels_) {
      const double p = sigmoid(dot(w, label.pair.x));
      for (int i = 0; i < kFigures; ++i) {
        step[i] += ((label.agree ? 1 : 0) - p) * label.pair.x[i];
        for (int j = 0; j <= i; ++j)
          curvature[i * kFigures + j] += p * (1 - p) * label.pair.x[i] * label.pair.x[j];
      }
    }
    base::factor_cholesky(curvature.data(), kFigures, 1e-12);
    base::solve_cholesky(curvature.data(), kFigures, step.data());
    double moved = 0;
    for (int i = 0; i < kFigures; ++i) {
      w[i] += step[i];
      moved = std::max(moved, std::fabs(step[i]));
    }
    if (moved < 1e-4) break;
  }
  if (std::all_of(w.begin(), w.end(), [](double v) { return std::isfinite(v); })) weights_ = w;
}

SemanticRule::Cut SemanticRule::cut_for(double error_max) const {
  std::vector<std::pair<double, bool>> points;  // p, agree
  points.reserve(labels_.size());
  double wrong_above = 0;
  for (const Label& label : labels_) {
    points.emplace_back(sigmoid(dot(weights_, label.pair.x)), label.agree);
    if (!label.agree) wrong_above = std::max(wrong_above, points.back().first);
  }
  std::sort(points.begin(), points.end(), std::greater<>());
  Cut best{.threshold = std::max(1 - error_max / 2, std::nextafter(wrong_above, 2.0)), .certified = false};
  double wrong = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    wrong += points[i].second ? 0 : 1;
    if (!points[i].second || (i + 1 < points.size() && points[i + 1].first == points[i].first)) continue;
    const auto count = static_cast<double>(i + 1);
    if (wrong / count > error_max || upper_bound(wrong, count, options_.confidence) > error_max) continue;
    best = {.threshold = points[i].first, .certified = true};
  }
  return best;
}

Judgement SemanticRule::judge(const PairFigures& pair, double error_max) {
  const std::lock_guard lock(mutex_);
  auto found = cuts_.find(error_max);
  if (found == cuts_.end()) {
    if (cuts_.size() > 16) cuts_.clear();
    found = cuts_.emplace(error_max, cut_for(error_max)).first;
  }
  return {.p = sigmoid(dot(weights_, pair.x)),
          .threshold = found->second.threshold,
          .certified = found->second.certified};
}

std::array<double, kFigures> SemanticRule::coefficients() const {
  const std::lock_guard lock(mutex_);
  return weights_;
}

std::size_t SemanticRule::labels() const {
  const std::lock_guard lock(mutex_);
  return labels_.size();
}

}  // namespace pmt::response_cache
