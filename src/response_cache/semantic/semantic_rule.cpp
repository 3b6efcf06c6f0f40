#include "response_cache/semantic/semantic_rule.h"

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

bool within(double wrong, double count, double error_max, RuleBound bound) {
  const double allowed = error_max * bound.share_of_error_max;
  if (wrong > allowed * count || wrong >= count) return false;
  // The upper bound u has P(wrong or fewer of count | u) = 1 - confidence, so it is within `allowed` if that
  // chance is already that small there.
  return incomplete_beta(wrong + 1, count - wrong, allowed) >= bound.confidence;
}

ShareInterval interval_of(double wrong, double count) {
  if (count <= 0) return {};
  constexpr double kTail = 0.025;
  // The share at which `a` or more of the count have a chance of `chance`: it grows with the share.
  const auto share_at = [](double a, double b, double chance) {
    double low = 0, high = 1;
    for (int i = 0; i < 50; ++i) {
      const double middle = (low + high) / 2;
      (incomplete_beta(a, b, middle) < chance ? low : high) = middle;
    }
    return (low + high) / 2;
  };
  return {.low = wrong <= 0 ? 0 : share_at(wrong, count - wrong + 1, kTail),
          .high = wrong >= count ? 1 : share_at(wrong + 1, count - wrong, 1 - kTail)};
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
  // A label that speaks against a cut counts at once. What speaks for a deeper one is looked at when the
  // model is fitted again: looking after each label until one look passes would pass by chance sooner or
  // later.
  if (!agree) cuts_.clear();
  if (learnt_ < refit_at_) return;
  refit();
  cuts_.clear();
  refit_at_ = learnt_ + std::max<std::size_t>(32, learnt_ / 16);
}

void SemanticRule::forget(const PairFigures& pair, bool agree) {
  const std::lock_guard lock(mutex_);
  const auto said = std::find_if(labels_.rbegin(), labels_.rend(), [&](const Label& label) {
    return label.agree == agree && label.pair.x == pair.x;
  });
  if (said == labels_.rend()) return;
  labels_.erase(std::next(said).base());
  cuts_.clear();
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
  double wrong_above = 0;  // the shipped model's p of the surest pair that a label found wrong
  for (const Label& label : labels_) {
    points.emplace_back(sigmoid(dot(weights_, label.pair.x)), label.agree);
    if (!label.agree) wrong_above = std::max(wrong_above, sigmoid(dot(kShipped, label.pair.x)));
  }
  std::sort(points.begin(), points.end(), std::greater<>());
  double wrong = 0;
  for (const auto& [p, agree] : points) wrong += agree ? 0 : 1;
  for (std::size_t count = points.size(); count > 0; --count) {  // the deepest first
    const auto [p, agree] = points[count - 1];
    const bool between_equals = count < points.size() && points[count].first == p;
    if (agree && !between_equals && within(wrong, static_cast<double>(count), error_max, options_.bound)) {
      return {.threshold = p, .certified = true};
    }
    wrong -= agree ? 0 : 1;
  }
  return {.threshold = std::max(1 - error_max / 2, std::nextafter(wrong_above, 2.0)), .certified = false};
}

Judgement SemanticRule::judge(const PairFigures& pair, double error_max) {
  const std::lock_guard lock(mutex_);
  auto found = cuts_.find(error_max);
  if (found == cuts_.end()) {
    if (cuts_.size() > 16) cuts_.clear();
    found = cuts_.emplace(error_max, cut_for(error_max)).first;
  }
  const Cut& cut = found->second;
  return {.p = sigmoid(dot(cut.certified ? weights_ : kShipped, pair.x)),
          .threshold = cut.threshold,
          .certified = cut.certified};
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
