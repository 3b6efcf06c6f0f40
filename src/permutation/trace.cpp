#include "permutation/trace.h"

#include <utility>

namespace pmt::permutation {
namespace {

using json = nlohmann::json;
using llm::CacheStatus;

struct Step {
  const char* component;
  const char* description;
  const char* status;  // success, failed, skipped
  double duration_ms = 0;
  json input = nullptr;
  json output = nullptr;
  json metadata = json::object();
};

json to_json(Step step) {
  return {{"component", step.component},         {"description", step.description},
          {"input", std::move(step.input)},      {"output", std::move(step.output)},
          {"duration_ms", step.duration_ms},     {"status", step.status},
          {"metadata", std::move(step.metadata)}};
}

Step skipped(const char* component, const char* description, std::string why) {
  return {.component = component,
          .description = description,
          .status = "skipped",
          .metadata = {{"why", std::move(why)}}};
}

bool computed(const Outcome& o) {
  return o.seen.computations > 0;
}

Step lookup_step(const Outcome& o) {
  static constexpr char kDescription[] = "look for the answer to an identical request";
  if (o.cache.status == CacheStatus::kBypass) return skipped("response_cache", kDescription, o.cache.why);
  Step step{.component = "response_cache",
            .description = kDescription,
            .status = "success",
            .duration_ms = o.seen.lookup_ms,
            .input = {{"key", o.cache.key}},
            .output = {{"status", llm::to_string(o.cache.status)}}};
  if (o.cache.status == CacheStatus::kHit) step.metadata = {{"age_s", o.cache.age_s}};
  if (o.cache.status == CacheStatus::kCoalesced) {
    step.description = "wait with an identical request that was being computed";
    step.duration_ms = o.total_ms;
  }
  return step;
}

Step student_step(const Outcome& o) {
  static constexpr char kDescription[] = "answer with the local model";
  if (o.cache.status == CacheStatus::kCoalesced) {
    return skipped("student", kDescription, "answered by an identical request's computation");
  }
  if (!computed(o)) return skipped("student", kDescription, "answered by the response cache");
  return {.component = "student",
          .description = kDescription,
          .status = "success",
          .duration_ms = o.seen.compute_ms,
          .input = {{"model", o.student_model}, {"prompt_tokens", o.usage.prompt_tokens}},
          .output = {{"completion_tokens", o.usage.completion_tokens}},
          .metadata = {{"calls", o.seen.computations}}};
}

Step store_step(const Outcome& o) {
  static constexpr char kDescription[] = "store the answer";
  if (!computed(o))
    return skipped("response_cache.store", kDescription, "nothing was computed for this request");
  if (!o.seen.stored && o.seen.store_note.empty()) {
    return skipped("response_cache.store", kDescription,
                   o.cache.why.empty() ? "the request's cache mode does not write" : o.cache.why);
  }
  Step step{.component = "response_cache.store",
            .description = kDescription,
            .status = o.seen.stored ? "success" : "failed",
            .duration_ms = o.seen.store_ms,
            .input = {{"key", o.cache.key}}};
  if (!o.seen.stored) step.metadata = {{"why", o.seen.store_note}};
  return step;
}

}  // namespace

json metadata_json(const Outcome& o) {
  json components = json::array();
  if (o.cache.status != CacheStatus::kBypass) components.push_back("response_cache");
  if (computed(o)) components.push_back("student");
  return {{"components_used", std::move(components)},
          {"duration_ms", o.total_ms},
          {"student_model", o.student_model},
          {"student_calls", o.seen.computations},
          {"teacher_calls", 0},
          {"cost", o.seen.usd}};
}

json trace_json(const Outcome& o) {
  json steps = json::array();
  steps.push_back(to_json(lookup_step(o)));
  steps.push_back(to_json(student_step(o)));
  steps.push_back(to_json(skipped("teacher", "answer with a larger model", "no upstream configured")));
  steps.push_back(to_json(store_step(o)));
  json errors = json::array();
  if (!o.seen.store_note.empty()) errors.push_back(o.seen.store_note);
  return {{"steps", std::move(steps)}, {"total_duration_ms", o.total_ms}, {"errors", std::move(errors)}};
}

}  // namespace pmt::permutation
