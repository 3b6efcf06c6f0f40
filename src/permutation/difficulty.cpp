#include "permutation/difficulty.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include "text/english.h"

namespace pmt::permutation {
namespace {

constexpr double kBase = 0.2;
constexpr double kDifficultyMax = 1.5;
constexpr double kPriorPrecision = 8;  // the prior weighs as much as about so many outcomes

/// Any of these words makes a question so much harder.
struct Factor {
  double weight = 0;
  text::WordSet words;
};

const std::vector<Factor>& factors() {
  static const std::vector<Factor> kFactors = [] {
    std::vector<Factor> all;
    for (const std::string_view line : text::english("difficulty")) {
      const auto fields = text::fields_of(line);
      all.push_back(
          {std::strtod(std::string(fields.front()).c_str(), nullptr), {fields.begin() + 1, fields.end()}});
    }
    return all;
  }();
  return kFactors;
}

bool has_any(const std::vector<std::string>& words, const text::WordSet& wanted) {
  return std::any_of(words.begin(), words.end(),
                     [&](const std::string& word) { return wanted.contains(word); });
}

double sum_of_factors(const std::vector<std::string>& words, const std::string& question) {
  double sum = 0;
  for (const Factor& factor : factors()) sum += has_any(words, factor.words) ? factor.weight : 0;
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
