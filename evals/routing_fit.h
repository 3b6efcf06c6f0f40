// What a router is worth, from how two models answered the same questions: its curve, whether the student's
// confidence means what it says, and the threshold that a target asks for. Thread-safety: pure functions.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace pmt::evals {

/// How one question was answered, and what that cost.
struct RoutedAnswer {
  bool right = false;
  bool by_teacher = false;
  double seconds = 0;  // of models computing
  double usd = 0;
};

/// One question, answered by each of the two models.
struct BothAnswers {
  RoutedAnswer student, teacher;
  double confidence = 0;  // the student's
};

/// As a router with this threshold has it: an unsure student's answer costs too.
RoutedAnswer routed(const BothAnswers& both, double confidence_min);

/// A confidence and whether the answer was right.
using Judged = std::pair<double, bool>;

/// The share that was right as a rising step function of confidence: isotonic regression, by pooling
/// neighbours that fall (Ayer et al. 1955). What lies between two steps goes to the lower one.
class Reliability {
 public:
  explicit Reliability(std::vector<Judged> judged);
  /// 0.5 where nothing was judged.
  double at(double confidence) const;

 private:
  struct Step {
    double from = 0, share = 0, n = 0;
  };
  std::vector<Step> steps_;
};

/// Expected calibration error over `bins` of equally many: the mean distance of stated confidence and share
/// right. 0 of nothing.
double calibration_error(std::vector<Judged> judged, std::size_t bins);

/// How well confidence ranks right answers before wrong ones: the chance that it does with one of each; 0.5
/// where there are none to compare.
double ranking(const std::vector<Judged>& judged);

/// The lowest threshold with which the router keeps `keep` of the teacher's right answers in at least
/// `sure` of the resampled sets of these questions (paired bootstrap); above 1: none does but always asking
/// the teacher.
double threshold_for(std::vector<BothAnswers> answers, double keep, double sure, unsigned seed);

}  // namespace pmt::evals
