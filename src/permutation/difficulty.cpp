#include "permutation/difficulty.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <string_view>

namespace pmt::permutation {
namespace {

constexpr double kBase = 0.2;
constexpr double kDifficultyMax = 1.5;
constexpr double kPriorPrecision = 8;  // the prior weighs as much as about so many outcomes

bool has_any(const std::vector<std::string>& words, std::initializer_list<std::string_view> wanted) {
  return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
    return std::find(wanted.begin(), wanted.end(), word) != wanted.end();
  });
}

double sum_of_factors(const std::vector<std::string>& words, const std::string& question) {
  double sum = 0;
  if (has_any(words, {"why", "how", "explain", "describe", "discuss"})) sum += 0.3;
  if (has_any(words, {"compare", "contrast", "difference", "versus", "analyze", "evaluate"})) sum += 0.4;
  if (has_any(words, {"prove", "derive", "calculate", "solve", "compute", "proof"})) sum += 0.5;
  if (has_any(words, {"if", "unless", "except", "not", "without", "never"})) sum += 0.2;
  if (has_any(words, {"and", "then", "after", "before", "while"})) sum += 0.1;
  const auto marks = std::count(question.begin(), question.end(), '?');
  if (marks > 1) sum += 0.2;
  if (question.find("```") != std::string::npos) sum += 0.3;
  return sum;
}

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

}  // namespace

double difficulty_of(const std::vector<std::string>& words, const std::string& question) {
  const double length = std::min(static_cast<double>(words.size()) / 20, 1.0);
  return std::min((kBase + (length + sum_of_factors(words, question)) / 2) / 2, kDifficultyMax);
}

double Ability::probability(double difficulty) const {
  return sigmoid(slope * (theta - difficulty));
}

/// Newton's method on (c, a) of the logit c - a b: the objective is concave.
Ability fit_ability(const std::deque<Outcome>& outcomes) {
  const Ability prior;
  const double c0 = prior.slope * prior.theta;
  double c = c0, a = prior.slope;
  for (int step = 0; step < 30; ++step) {
    double gc = -kPriorPrecision * (c - c0), ga = -kPriorPrecision * (a - prior.slope);
    double hcc = kPriorPrecision, hca = 0, haa = kPriorPrecision;
    for (const Outcome& o : outcomes) {
      const double p = sigmoid(c - a * o.difficulty);
      const double error = (o.right ? 1 : 0) - p, weight = p * (1 - p);
      gc += error;
      ga -= error * o.difficulty;
      hcc += weight;
      hca -= weight * o.difficulty;
      haa += weight * o.difficulty * o.difficulty;
    }
    const double det = hcc * haa - hca * hca;
    const double dc = (haa * gc - hca * ga) / det, da = (hcc * ga - hca * gc) / det;
    c += dc;
    a += da;
    if (std::abs(dc) + std::abs(da) < 1e-9) break;
  }
  // A slope of zero or less would say that difficulty doesn't matter: theta is then the intercept alone.
  a = std::max(a, 0.05);
  return {.slope = a, .theta = c / a};
}

void AbilityLog::add(Outcome outcome) {
  const std::lock_guard lock(mutex_);
  outcomes_.push_back(outcome);
  if (outcomes_.size() > kKept) outcomes_.pop_front();
  if (++since_fit_ < kRefitEvery) return;
  since_fit_ = 0;
  ability_ = fit_ability(outcomes_);
}

Ability AbilityLog::ability() const {
  const std::lock_guard lock(mutex_);
  return ability_;
}

std::size_t AbilityLog::outcomes() const {
  const std::lock_guard lock(mutex_);
  return outcomes_.size();
}

}  // namespace pmt::permutation
