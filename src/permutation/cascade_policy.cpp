#include "permutation/cascade_policy.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "base/hash.h"

namespace pmt::permutation {

const char* to_string(Escalation escalation) {
  switch (escalation) {
    case Escalation::kNever:
      return "never";
    case Escalation::kAlways:
      return "always";
    case Escalation::kConfidence:
      return "confidence";
  }
  return "confidence";
}

const char* name_of(StageKind kind) {
  static constexpr const char* kNames[] = {"student", "agreement", "teacher", "synthesis", "fallback"};
  return kNames[static_cast<int>(kind)];
}

const char* describe(StageKind kind) {
  static constexpr const char* kTexts[] = {"answer with the local model", "draw another answer and compare",
                                           "answer with a larger model", "one answer out of both drafts",
                                           "answer although the teacher failed"};
  return kTexts[static_cast<int>(kind)];
}

bool explores(const std::string& question, double share) {
  if (share <= 0) return false;
  const base::Digest digest = base::sha256(question);
  const unsigned drawn = (digest.bytes[0] << 16U) | (digest.bytes[1] << 8U) | digest.bytes[2];
  return drawn < share * 0x1000000;
}

std::optional<std::string> why_not_student(const CascadePolicy& policy, double probability, bool explore) {
  if (!policy.has_student) return "no local model is configured";
  if (!policy.judges_student() || explore) return {};
  if (policy.escalation == Escalation::kAlways && !policy.synthesis) return "escalation is always";
  if (probability >= policy.student_probability_min) return {};
  return fmt::format("too difficult: it is right with probability {:.2f}, {:.2f} is wanted", probability,
                     policy.student_probability_min);
}

bool judged_by_probe(const CascadePolicy& policy, const llm::Request& request, bool explore) {
  const bool needs_whole = policy.agreement_samples > 0 || policy.synthesis || explore || request.n > 1 ||
                           !request.knowledge.empty() || policy.escalation == Escalation::kAlways;
  return policy.probe_tokens > 0 && !needs_whole;
}

AfterStudent after_student(const CascadePolicy& policy, double confidence, bool explore) {
  using Next = AfterStudent::Next;
  if (policy.escalation == Escalation::kAlways) return {Next::kEscalate, "escalation is always"};
  if (explore) return {Next::kEscalate, "explored, to learn how able the student is"};
  const bool unsure = confidence < policy.confidence_min;
  return {policy.agreement_samples > 0 && unsure ? Next::kSample : Next::kJudge};
}

Judgement judge(double mean_probability, int tokens, const std::vector<double>& agreements,
                std::vector<std::string> facts, double confidence_min) {
  Judgement out{.mean_probability = mean_probability,
                .tokens = tokens,
                .facts = std::move(facts),
                .confidence = mean_probability,
                .wanted = confidence_min};
  if (!agreements.empty()) {
    const double sum = std::accumulate(agreements.begin(), agreements.end(), 0.0);
    out.agreement = sum / static_cast<double>(agreements.size());
    out.confidence = (mean_probability + *out.agreement) / 2;
  }
  const bool enough = out.confidence >= confidence_min;
  out.sure = !out.facts.empty() || enough;
  out.why = !out.facts.empty() ? "the student knows it by a taught fact"
                               : fmt::format("the student's confidence is {:.3f}, {} {:.3f}", out.confidence,
                                             enough ? "at least" : "below", confidence_min);
  return out;
}

AfterFailure after_failure(const CascadePolicy& policy, StageKind kind, base::Code code, bool started) {
  if (started || code == base::Code::kInvalidArgument) return AfterFailure::kFail;
  switch (kind) {
    case StageKind::kStudent:
      return policy.judges_student() ? AfterFailure::kAskTeacher : AfterFailure::kFail;
    case StageKind::kSample:
      return AfterFailure::kEscalate;
    case StageKind::kTeacher:
      return AfterFailure::kFallBack;
    case StageKind::kSynthesis:
      return AfterFailure::kTeacherStands;
    case StageKind::kFallback:
      break;
  }
  return AfterFailure::kFail;
}

std::optional<std::string> why_exhausted(const llm::Budget& budget, const Spent& spent) {
  if (budget.usd && spent.usd >= *budget.usd)
    return fmt::format("the budget of {} dollars is used up", *budget.usd);
  if (budget.tokens && spent.tokens >= *budget.tokens)
    return fmt::format("the budget of {} tokens is used up", *budget.tokens);
  if (budget.seconds && spent.seconds >= *budget.seconds)
    return fmt::format("the budget of {} seconds is used up", *budget.seconds);
  return {};
}

llm::Request stage_request(llm::Request request, const Spent& spent, bool local, double kv_ratio) {
  if (request.budget.tokens) {
    const std::int64_t left = *request.budget.tokens - spent.tokens;
    const int limit = static_cast<int>(std::clamp<std::int64_t>(left, 1, 1 << 30));
    request.max_tokens = std::min(request.max_tokens.value_or(limit), limit);
  }
  if (request.budget.seconds)
    request.budget.seconds = std::max(0.001, *request.budget.seconds - spent.seconds);
  request.engine_call = true;
  if (local) {
    if (!request.kv.ratio && request.kv.mode == llm::KvMode::kAuto && kv_ratio > 0) {
      request.kv.ratio = kv_ratio;
      request.kv.best_effort = true;  // nobody asked for it by name
    }
  } else {
    request.kv = {};
    request.knowledge.clear();
    request.speculation = llm::Speculation::kAuto;
  }
  return request;
}

}  // namespace pmt::permutation
