// What a cascade does next, decided from what is known so far: pure functions, tested as tables. CascadeRun asks
// them and acts; CascadeTrace tells of it.
// Thread-safety: pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "llm/request.h"

namespace pmt::permutation {

enum class Escalation { kNever, kAlways, kConfidence };
const char* to_string(Escalation escalation);

/// The calls that a cascade may make; kSample is a further answer of the student, drawn.
enum class StageKind { kStudent, kSample, kTeacher, kSynthesis, kFallback };
const char* name_of(StageKind kind);
const char* describe(StageKind kind);

/// The part of a cascade's options that decisions are made by.
struct CascadePolicy {
  bool has_student = true, has_teacher = true;
  Escalation escalation = Escalation::kConfidence;
  double confidence_min = 0.6;         // below: the teacher is asked
  double student_probability_min = 0;  // of being right, by difficulty: below, the student isn't asked
  int probe_tokens = 24;               // the student is judged by so many of its first tokens; 0: by all
  int agreement_samples = 0;           // further answers of an unsure student; agreement may save it
  bool synthesis = false;              // the teacher writes one answer out of both drafts

  /// Whether another model may answer in the student's place.
  bool judges_student() const { return has_teacher && escalation != Escalation::kNever; }
};

/// Whether the question is asked of both models, to learn the student's ability. The same question is explored
/// each time or never: a cached answer must not depend on chance.
bool explores(const std::string& question, double share);

/// Why the student isn't asked first; none: it is. `probability`: that it is right.
std::optional<std::string> why_not_student(const CascadePolicy& policy, double probability, bool explore);

/// Whether the student can be judged by its first words. Not where all of its answer is needed anyway.
bool judged_by_probe(const CascadePolicy& policy, const llm::Request& request, bool explore);

/// What to do when the student's whole answer is there.
struct AfterStudent {
  enum class Next { kJudge, kSample, kEscalate } next = Next::kJudge;
  const char* why = "";  // to escalate
};
AfterStudent after_student(const CascadePolicy& policy, double confidence, bool explore);

/// Whether the student is sure enough.
struct Judgement {
  double mean_probability = 0;           // of its words
  int tokens = 0;                        // that this is of
  std::optional<double> agreement = {};  // mean, with the drawn answers
  std::vector<std::string> facts = {};   // taught ones that it answered by: it knows
  double confidence = 0, wanted = 0;
  bool sure = false;
  std::string why = {};
};
Judgement judge(double mean_probability, int tokens, const std::vector<double>& agreements,
                std::vector<std::string> facts, double confidence_min);

/// What to do when a stage failed.
enum class AfterFailure { kFail, kAskTeacher, kEscalate, kFallBack, kTeacherStands };
/// `started`: something was said, which can't be taken back. What is wrong with the request is so for every
/// model.
AfterFailure after_failure(const CascadePolicy& policy, StageKind kind, base::Code code, bool started);

/// What a request has used so far.
struct Spent {
  double usd = 0;
  std::int64_t tokens = 0;
  double seconds = 0;
};
/// Why no more may be spent; none: it may.
std::optional<std::string> why_exhausted(const llm::Budget& budget, const Spent& spent);

/// The request as a stage is asked it: what is left of the budgets is the call's own limit. `local`: the model
/// takes knowledge and KV options; `kv_ratio`: for requests that name none, 0: the model's own.
llm::Request stage_request(llm::Request request, const Spent& spent, bool local, double kv_ratio);

}  // namespace pmt::permutation
