// What the tests of the engine share: a question to it, and what its answer reports.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "permutation/engine.h"
#include "response_cache/scripted_completer.h"

namespace pmt::permutation {

/// Greedy, with the trace.
inline llm::Request question(const std::string& text = "What is the capital of France?") {
  llm::Request request;
  request.model = kModelName;
  request.messages.push_back(
      {.role = "user", .content = text, .name = {}, .tool_calls = {}, .tool_call_id = {}});
  request.sampling.temperature = 0;
  request.want_trace = true;
  return request;
}

inline nlohmann::json engine_of(const std::vector<llm::Event>& events) {
  return response_cache::done_of(events).report.engine;
}

/// component -> step
inline std::map<std::string, nlohmann::json> steps_of(const std::vector<llm::Event>& events) {
  std::map<std::string, nlohmann::json> steps;
  const nlohmann::json engine = engine_of(events);
  for (const auto& step : engine.at("trace").at("steps")) steps[step.at("component")] = step;
  return steps;
}

}  // namespace pmt::permutation
