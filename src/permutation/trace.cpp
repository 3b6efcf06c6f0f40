#include "permutation/trace.h"

#include <utility>

#include "base/json.h"
#include "permutation/cascade_policy.h"

namespace pmt::permutation {
namespace {

using json = nlohmann::json;
using llm::CacheStatus;

bool computed(const Lookup& o) {
  return o.seen.computations > 0;
}

Step lookup_step(const Lookup& o) {
  static constexpr char kDescription[] = "look for the answer to an identical request";
  if (o.cache.status == CacheStatus::kBypass) return skipped("response_cache", kDescription, o.cache.why);
  Step step{.component = "response_cache",
            .description = kDescription,
            .duration_ms = o.seen.lookup_ms,
            .input = {{"key", o.cache.key}},
            .output = {{"status", llm::to_string(o.cache.status)}}};
  if (o.cache.status == CacheStatus::kHit) step.metadata = {{"age_s", o.cache.age_s}};
  if (o.cache.status == CacheStatus::kSemanticHit) {
    step.metadata = {{"age_s", o.cache.age_s}, {"similarity", o.cache.similarity.value_or(0)}};
  }
  if (o.cache.status == CacheStatus::kMiss && !o.cache.why.empty()) step.metadata = {{"why", o.cache.why}};
  if (o.cache.status == CacheStatus::kCoalesced) {
    step.description = "wait with an identical request that was being computed";
    step.duration_ms = o.total_ms;
  }
  return step;
}

Step store_step(const Lookup& o, bool degraded) {
  static constexpr char kDescription[] = "store the answer";
  if (!computed(o)) {
    return skipped("response_cache.store", kDescription, "nothing was computed for this request");
  }
  if (!o.seen.stored && o.seen.store_note.empty()) {
    const bool bypass = o.cache.status == CacheStatus::kBypass && !o.cache.why.empty();
    return skipped("response_cache.store", kDescription,
                   degraded ? "a degraded answer is not kept"
                   : bypass ? o.cache.why
                            : "the request's cache mode does not write");
  }
  Step step{.component = "response_cache.store",
            .description = kDescription,
            .status = o.seen.stored ? "success" : "failed",
            .duration_ms = o.seen.store_ms,
            .input = {{"key", o.cache.key}}};
  if (!o.seen.stored) step.metadata = {{"why", o.seen.store_note}};
  return step;
}

/// A stored answer's metadata, without what happened only when it was made.
json reused_metadata(json first) {
  for (const char* calls : {"student_calls", "teacher_calls", "synthesis_calls", "fallback_calls"})
    first[calls] = 0;
  first["cost"] = 0.0;
  first["tokens"] = 0;
  return first;
}

void add_skipped_stages(json& steps, const std::string& why) {
  for (const StageKind kind :
       {StageKind::kStudent, StageKind::kTeacher, StageKind::kSynthesis, StageKind::kFallback})
    steps.push_back(to_json(skipped(name_of(kind), describe(kind), why)));
}

}  // namespace

json to_json(Step step) {
  return {{"component", std::move(step.component)}, {"description", std::move(step.description)},
          {"input", std::move(step.input)},         {"output", std::move(step.output)},
          {"duration_ms", step.duration_ms},        {"status", std::move(step.status)},
          {"metadata", std::move(step.metadata)}};
}

Step skipped(std::string component, std::string description, std::string why) {
  return {.component = std::move(component),
          .description = std::move(description),
          .status = "skipped",
          .metadata = {{"why", std::move(why)}}};
}

Step failed(std::string component, std::string description, const base::Error& error, double duration_ms) {
  return {.component = std::move(component),
          .description = std::move(description),
          .status = "failed",
          .duration_ms = duration_ms,
          .metadata = {{"error", error.message}, {"code", base::to_string(error.code)}}};
}

json engine_report(const json& cascade, const Lookup& o, bool want_trace, std::string answer) {
  const bool own = computed(o);
  json metadata = base::object_at(cascade, "metadata");
  if (!own) metadata = reused_metadata(std::move(metadata));
  json components = json::array();
  if (o.cache.status != CacheStatus::kBypass) components.push_back("response_cache");
  if (own) {
    for (const json& component : base::array_at(metadata, "components_used")) components.push_back(component);
  }
  metadata["components_used"] = std::move(components);
  metadata["duration_ms"] = o.total_ms;
  json out = {{"metadata", metadata}};
  if (const json& shown = base::at(cascade, "documents"); !shown.is_null()) out["documents"] = shown;
  if (!want_trace) return out;

  json steps = json::array({to_json(lookup_step(o))});
  json errors = json::array(), reasoning = json::array();
  if (own) {
    const json& trace = base::at(cascade, "trace");
    for (const json& step : base::array_at(trace, "steps")) steps.push_back(step);
    errors = base::array_at(trace, "errors");
    reasoning = base::array_at(cascade, "reasoning");
  } else {
    const bool shared = o.cache.status == CacheStatus::kCoalesced;
    const std::string why =
        shared ? "answered by an identical request's computation" : "answered by the response cache";
    add_skipped_stages(steps, why);
    reasoning.push_back(why);
  }
  steps.push_back(to_json(store_step(o, base::flag_at(metadata, "degraded").value_or(false))));
  if (!o.seen.store_note.empty()) errors.push_back(o.seen.store_note);
  out["answer"] = std::move(answer);
  out["reasoning"] = std::move(reasoning);
  out["trace"] = {
      {"steps", std::move(steps)}, {"total_duration_ms", o.total_ms}, {"errors", std::move(errors)}};
  return out;
}

}  // namespace pmt::permutation
