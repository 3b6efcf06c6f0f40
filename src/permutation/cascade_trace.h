// What a cascade tells of one request: typed while it runs, JSON once, at the end.
// Thread-safety: none; one request's events never overlap.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "llm/event.h"
#include "permutation/cascade_policy.h"
#include "permutation/difficulty.h"
#include "permutation/domain.h"

namespace pmt::permutation {

/// How the question was judged before any model saw it.
struct Routed {
  std::size_t words = 0;
  DomainGuess domain;
  double difficulty = 0, probability = 0;  // that the student is right
  Ability ability;
  std::size_t outcomes = 0;  // that the ability was fitted to
  double duration_ms = 0;
};

/// A call that ended with an answer.
struct Answered {
  llm::ModelCall call;
  StageKind kind = StageKind::kStudent;
  double usd = 0;
  llm::Report report;
  std::optional<double> agreement_with_student = {};
};

/// The student, stopped while it spoke.
struct Stopped {
  llm::ModelCall call;
  std::string why;
};

struct Failure {
  llm::ModelCall call;
  StageKind kind = StageKind::kStudent;
  base::Error error;
};

struct Skipped {
  StageKind kind = StageKind::kStudent;
  std::string why;
};

/// The student's draft is given in place of the teacher's answer.
struct DraftGiven {};

class CascadeTrace {
 public:
  using Step = std::variant<Routed, Answered, Stopped, Failure, Skipped, Judgement, DraftGiven>;

  void add(Step step);
  /// Why the cascade went on as it did, for people.
  void reason(std::string text) { reasoning_.push_back(std::move(text)); }
  void teacher_agreed(double share);

  /// What the metadata says besides what the steps do.
  struct Outcome {
    StageKind answered_by = StageKind::kStudent;
    std::string degraded_why = {};  // "": it isn't
    std::string student_model = {}, teacher_model = {};
    std::int64_t tokens = 0;
    double usd = 0;
  };
  /// {"metadata", "reasoning", "trace": {"steps", "errors"}}
  nlohmann::json report(const Outcome& outcome) const;
  std::vector<llm::ModelCall> calls() const;

 private:
  nlohmann::json metadata(const Outcome& outcome) const;

  std::vector<Step> steps_;
  std::vector<std::string> reasoning_;
};

}  // namespace pmt::permutation
