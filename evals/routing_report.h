// What one kind of traffic came to under a router: its curve beside the straight line, what the chosen
// threshold keeps and saves, and how far the student's confidence is to be believed. Thread-safety: none.
// Cost: some seconds of resampling for 10,000 questions.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "evals/routing_fit.h"
#include "lab/measure.h"

namespace pmt::evals {

/// Of a set's questions, by turns: what is told of one part is chosen by the others.
inline constexpr std::size_t kRoutedParts = 5;

struct RoutedSet {
  std::string name;
  std::vector<BothAnswers> both;  // of each question
  std::vector<RoutedAnswer>
      router;                      // as the server answered them, each part with the threshold of the others
  std::vector<double> thresholds;  // of the parts
  double keep = 0.95;              // the target
  unsigned seed = 1;
};

/// Adds its rows and targets. Requires a question.
void report_set(const RoutedSet& set, lab::Result& result);

}  // namespace pmt::evals
