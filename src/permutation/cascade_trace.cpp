#include "permutation/cascade_trace.h"

#include <utility>

#include <fmt/format.h>

#include "permutation/trace.h"

namespace pmt::permutation {
namespace {

using json = nlohmann::json;

double duration_ms(const llm::ModelCall& call) {
  return base::ms_between(call.begun, call.ended);
}

json json_of(const Routed& routed) {
  return to_json({.component = "router",
                  .description = "domain by keywords, difficulty by the question's form",
                  .duration_ms = routed.duration_ms,
                  .input = {{"words", routed.words}},
                  .output = {{"domain", routed.domain.name},
                             {"irt_difficulty", routed.difficulty},
                             {"irt_probability", routed.probability}},
                  .metadata = {{"domain_score", routed.domain.score},
                               {"irt_slope", routed.ability.slope},
                               {"irt_ability", routed.ability.theta},
                               {"outcomes", routed.outcomes}}});
}

json json_of(const Answered& answered) {
  const llm::ModelCall& call = answered.call;
  const llm::Report& report = answered.report;
  json metadata = {{"calls", call.computations}, {"cost", call.computations > 0 ? answered.usd : 0.0}};
  if (report.cache) metadata["cache"] = llm::to_string(report.cache->status);
  if (report.knowledge) metadata["knowledge"] = report.knowledge->facts;
  if (!report.upstream.is_null()) metadata["upstream"] = report.upstream;
  if (answered.agreement_with_student) metadata["agreement_with_student"] = *answered.agreement_with_student;
  return to_json({.component = name_of(answered.kind),
                  .description = describe(answered.kind),
                  .duration_ms = duration_ms(call),
                  .input = {{"model", call.model}, {"prompt_tokens", call.prompt_tokens}},
                  .output = {{"completion_tokens", call.completion_tokens}},
                  .metadata = std::move(metadata)});
}

json json_of(const Stopped& stopped) {
  return to_json({.component = name_of(StageKind::kStudent),
                  .description = describe(StageKind::kStudent),
                  .duration_ms = duration_ms(stopped.call),
                  .input = {{"model", stopped.call.model}},
                  .output = {{"tokens_seen", stopped.call.completion_tokens}},
                  .metadata = {{"stopped", stopped.why}}});
}

json json_of(const Failure& failure) {
  return to_json(
      failed(name_of(failure.kind), describe(failure.kind), failure.error, duration_ms(failure.call)));
}

json json_of(const Skipped& skip) {
  return to_json(skipped(name_of(skip.kind), describe(skip.kind), skip.why));
}

json json_of(const Judgement& judgement) {
  json output = {{"mean_probability", judgement.mean_probability},
                 {"tokens", judgement.tokens},
                 {"confidence", judgement.confidence},
                 {"sure", judgement.sure}};
  if (judgement.agreement) output["agreement"] = *judgement.agreement;
  if (!judgement.facts.empty()) output["facts"] = judgement.facts;
  return to_json({.component = "confidence",
                  .description = "is the student sure enough?",
                  .input = {{"confidence_min", judgement.wanted}},
                  .output = std::move(output)});
}

json json_of(const DraftGiven&) {
  return to_json({.component = name_of(StageKind::kFallback),
                  .description = describe(StageKind::kFallback),
                  .output = {{"answer_of", "student"}}});
}

/// The component that did something here; null: none did.
struct ComponentOf {
  const char* operator()(const Routed&) const { return "router"; }
  const char* operator()(const Answered& step) const { return name_of(step.kind); }
  const char* operator()(const Stopped&) const { return name_of(StageKind::kStudent); }
  const char* operator()(const Failure&) const { return nullptr; }
  const char* operator()(const Skipped&) const { return nullptr; }
  const char* operator()(const Judgement&) const { return "confidence"; }
  const char* operator()(const DraftGiven&) const { return name_of(StageKind::kFallback); }
};

}  // namespace

void CascadeTrace::add(Step step) {
  steps_.push_back(std::move(step));
}

void CascadeTrace::teacher_agreed(double share) {
  std::get<Answered>(steps_.back()).agreement_with_student = share;
}

std::vector<llm::ModelCall> CascadeTrace::calls() const {
  std::vector<llm::ModelCall> out;
  for (const Step& step : steps_) {
    if (const auto* answered = std::get_if<Answered>(&step)) out.push_back(answered->call);
    if (const auto* stopped = std::get_if<Stopped>(&step)) out.push_back(stopped->call);
    if (const auto* failure = std::get_if<Failure>(&step)) out.push_back(failure->call);
  }
  return out;
}

json CascadeTrace::metadata(const Outcome& outcome) const {
  Routed routed;
  json quality;  // the student's confidence, as it was judged
  json components = json::array();
  for (const Step& step : steps_) {
    if (const auto* one = std::get_if<Routed>(&step)) routed = *one;
    if (const auto* one = std::get_if<Judgement>(&step)) quality = one->confidence;
    if (const char* component = std::visit(ComponentOf{}, step)) components.push_back(component);
  }
  const auto made = calls();
  const auto computed = [&](StageKind kind) {
    int sum = 0;
    for (const llm::ModelCall& call : made)
      sum += call.part == name_of(kind) && call.error.empty() ? call.computations : 0;
    return sum;
  };
  json out = {{"domain", routed.domain.name},
              {"irt_difficulty", routed.difficulty},
              {"irt_probability", routed.probability},
              {"quality_score", std::move(quality)},
              {"answered_by", name_of(outcome.answered_by)},
              {"degraded", !outcome.degraded_why.empty()},
              {"components_used", std::move(components)},
              {"student_model", outcome.student_model},
              {"teacher_model", outcome.teacher_model},
              {"student_calls", computed(StageKind::kStudent) + computed(StageKind::kSample)},
              {"teacher_calls", computed(StageKind::kTeacher)},
              {"synthesis_calls", computed(StageKind::kSynthesis)},
              {"fallback_calls", computed(StageKind::kFallback)},
              {"tokens", outcome.tokens},
              {"cost", outcome.usd}};
  if (!outcome.degraded_why.empty()) out["degraded_why"] = outcome.degraded_why;
  return out;
}

json CascadeTrace::report(const Outcome& outcome) const {
  json steps = json::array(), errors = json::array();
  for (const Step& step : steps_) {
    steps.push_back(std::visit([](const auto& one) { return json_of(one); }, step));
    if (const auto* failure = std::get_if<Failure>(&step))
      errors.push_back(fmt::format("{}: {}", name_of(failure->kind), failure->error.message));
  }
  return {{"metadata", metadata(outcome)},
          {"reasoning", reasoning_},
          {"trace", {{"steps", std::move(steps)}, {"errors", std::move(errors)}}}};
}

}  // namespace pmt::permutation
