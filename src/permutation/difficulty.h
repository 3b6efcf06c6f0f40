// How hard a question is, and how likely the student gets it right: item-response theory with two parameters,
// P = sigmoid(a (theta - b)). The item's difficulty b is the origin's formula over the question's form:
//
//   b = min((base + (min(words / 20, 1) + sum of factors) / 2) / 2, 1.5)
//
// The student's ability theta and the slope a begin at a prior (0.85, 1) and are refitted from logged
// outcomes (was the student's answer what the teacher said?) by MAP, so that few outcomes move them little.
// Thread-safety: any thread may call anything. Cost: a refit every 16 outcomes, over the last 512.
// Source: the two-parameter logistic model (Birnbaum 1968); the formula is that of the origin system.
#pragma once

#include <deque>
#include <mutex>
#include <string>
#include <vector>

namespace pmt::permutation {

/// b, from 0.1 to 1.5.
double difficulty_of(const std::vector<std::string>& words, const std::string& question);

struct Outcome {
  double difficulty = 0;
  bool right = false;
};

struct Ability {
  double slope = 1;
  double theta = 0.85;
  double probability(double difficulty) const;
};

/// The MAP estimate: Gaussian priors around Ability's defaults, on slope and slope * theta.
Ability fit_ability(const std::deque<Outcome>& outcomes);

class AbilityLog {
 public:
  void add(Outcome outcome);
  Ability ability() const;
  std::size_t outcomes() const;

 private:
  static constexpr std::size_t kKept = 512, kRefitEvery = 16;
  mutable std::mutex mutex_;
  std::deque<Outcome> outcomes_;  // guarded by mutex_, like
  std::size_t since_fit_ = 0;
  Ability ability_;
};

}  // namespace pmt::permutation
