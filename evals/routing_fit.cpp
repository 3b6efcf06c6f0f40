#include "evals/routing_fit.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace pmt::evals {
namespace {

constexpr int kRounds = 1'000;
constexpr double kNever = 1.01;  // a confidence that no student has

}  // namespace

RoutedAnswer routed(const BothAnswers& both, double confidence_min) {
  if (both.confidence >= confidence_min) return both.student;
  RoutedAnswer answer = both.teacher;
  answer.by_teacher = true;
  answer.seconds += both.student.seconds;
  answer.usd += both.student.usd;
  return answer;
}

Reliability::Reliability(std::vector<Judged> judged) {
  std::ranges::sort(judged);
  for (const auto& [confidence, right] : judged) {
    Step step{.from = confidence, .share = right ? 1. : 0., .n = 1};
    while (!steps_.empty() && (steps_.back().share >= step.share || steps_.back().from == confidence)) {
      const Step& last = steps_.back();
      const double n = last.n + step.n;
      step = {.from = last.from, .share = (last.share * last.n + step.share * step.n) / n, .n = n};
      steps_.pop_back();
    }
    steps_.push_back(step);
  }
}

double Reliability::at(double confidence) const {
  if (steps_.empty()) return 0.5;
  const auto after = std::ranges::upper_bound(steps_, confidence, {}, &Step::from);
  return after == steps_.begin() ? after->share : std::prev(after)->share;
}

double calibration_error(std::vector<Judged> judged, std::size_t bins) {
  std::ranges::sort(judged);
  double sum = 0;
  for (std::size_t bin = 0; bin < bins; ++bin) {
    double stated = 0, right = 0;
    for (std::size_t i = bin * judged.size() / bins; i < (bin + 1) * judged.size() / bins; ++i)
      stated += judged[i].first, right += judged[i].second ? 1 : 0;
    sum += std::abs(stated - right);
  }
  return judged.empty() ? 0 : sum / static_cast<double>(judged.size());
}

double ranking(const std::vector<Judged>& judged) {
  double pairs = 0, won = 0;
  for (const auto& [high, right] : judged) {
    for (const auto& [low, other_right] : judged) {
      if (!right || other_right) continue;
      ++pairs;
      won += high > low ? 1 : high == low ? 0.5 : 0;
    }
  }
  return pairs == 0 ? 0.5 : won / pairs;
}

double threshold_for(std::vector<BothAnswers> answers, double keep, double sure, unsigned seed) {
  std::ranges::sort(answers, [](const auto& a, const auto& b) { return a.confidence > b.confidence; });
  const std::size_t n = answers.size();
  std::vector<int> held(n + 1, 0);  // [k]: of rounds where the k most confident may be the student's
  std::mt19937 random(seed);
  std::vector<int> drawn(n);
  for (int round = 0; n > 0 && round < kRounds; ++round) {
    std::ranges::fill(drawn, 0);
    for (std::size_t i = 0; i < n; ++i) ++drawn[std::uniform_int_distribution<std::size_t>(0, n - 1)(random)];
    double teacher = 0;
    for (std::size_t i = 0; i < n; ++i) teacher += answers[i].teacher.right ? drawn[i] : 0;
    double right = teacher;
    for (std::size_t k = 0; k <= n; ++k) {
      if (k > 0)
        right += drawn[k - 1] * (int{answers[k - 1].student.right} - int{answers[k - 1].teacher.right});
      held[k] += right >= keep * teacher ? 1 : 0;
    }
  }
  for (std::size_t k = n; k > 0; --k) {
    const bool cuts = k == n || answers[k].confidence < answers[k - 1].confidence;
    if (cuts && held[k] >= sure * kRounds)
      return k == n ? 0 : (answers[k].confidence + answers[k - 1].confidence) / 2;
  }
  return kNever;
}

}  // namespace pmt::evals
