#include "rlm/trajectory.h"

#include <chrono>
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/json.h"

namespace pmt::rlm {

using nlohmann::json;

namespace {

/// A child's, unless the whole would nest deeper than a JSON text of ours may: a level is 8 deep, and around
/// the root's stand an answer's own members.
json child_trajectory(const json& trajectory) {
  constexpr std::size_t kDepthMax = base::kJsonDepthMax - 8 - 8;
  if (base::fits_depth(trajectory, kDepthMax)) return trajectory;
  return {{"run_metadata", base::at(trajectory, "run_metadata")},
          {"iterations", json::array()},
          {"left_out", fmt::format("the iterations: they nest deeper than {} levels", kDepthMax)}};
}

}  // namespace

json to_json(const SubCall& call) {
  const json usage = {{"total_calls", 1},
                      {"total_input_tokens", call.usage.prompt_tokens},
                      {"total_output_tokens", call.usage.completion_tokens}};
  json out = {{"root_model", call.model},
              {"prompt", call.prompt},
              {"response", call.response},
              {"usage_summary", {{"model_usage_summaries", {{call.model, usage}}}}},
              {"prompt_tokens", call.usage.prompt_tokens},  // twice: the viewer looks for them here
              {"completion_tokens", call.usage.completion_tokens},
              {"start_time", call.began_s},
              {"execution_time", call.seconds}};
  if (!call.trajectory.is_null()) out["metadata"] = child_trajectory(call.trajectory);
  if (!call.error.empty()) out["error"] = call.error;
  return out;
}

json to_json(const std::string& code, const sandbox::BlockResult& block, const std::vector<SubCall>& calls) {
  json made = json::array();
  for (const SubCall& call : calls) made.push_back(to_json(call));
  json locals = json::object();
  for (const auto& [name, type] : block.variables) locals[name] = fmt::format("<{}>", type);
  return {{"code", code},
          {"result",
           {{"stdout", block.output},
            {"stderr", block.error},
            {"locals", std::move(locals)},
            {"execution_time", block.own_ms / 1e3},
            {"rlm_calls", std::move(made)},
            {"final_answer", block.final_answer ? json(*block.final_answer) : json()}}}};
}

json run_metadata(const Run& run, int depth) {
  const char* kind = run.sandbox == nullptr ? "none" : sandbox::to_string(run.sandbox->kind());
  return {{"root_model", run.root.name},
          {"max_depth", run.bounds.depth_max},
          {"max_iterations", run.bounds.iterations_max},
          {"backend", "permutation"},
          {"backend_kwargs", {{"model_name", run.root.name}}},
          {"environment_type", kind},
          {"environment_kwargs", json::object()},
          {"other_backends", {run.leaf.name}},
          {"depth", depth}};
}

std::string to_jsonl(const json& trajectory) {
  const auto dumped = [](const json& line) {
    return line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  };
  json head = trajectory.at("run_metadata");
  head["type"] = "metadata";
  head["timestamp"] = fmt::format("{:%Y-%m-%dT%H:%M:%S}", fmt::localtime(std::time(nullptr)));
  std::string text = dumped(head);
  for (const json& iteration : trajectory.at("iterations")) text += dumped(iteration);
  return text;
}

}  // namespace pmt::rlm
