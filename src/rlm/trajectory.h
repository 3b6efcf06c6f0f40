// What happened, in the form that the official `rlms` package writes (and its viewer reads): a line of
// metadata, then a line an iteration with its prompt, the root's response, the code blocks with their results
// and the sub-calls of each. A child's whole trajectory is in its call's metadata, without its iterations
// where the whole would nest deeper than base::kJsonDepthMax. Beside their execution_time, calls and iterations say in
// start_time when they began: seconds since the request did.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "rlm/run.h"

namespace pmt::rlm {

/// One call that a block made.
struct SubCall {
  std::string model, prompt, response, error;
  llm::Usage usage;
  double began_s = 0, seconds = 0;  // since the request began; how long it took
  nlohmann::json trajectory = {};   // of a child
};

nlohmann::json to_json(const SubCall& call);
nlohmann::json to_json(const std::string& code, const sandbox::BlockResult& block,
                       const std::vector<SubCall>& calls);

nlohmann::json run_metadata(const Run& run, int depth);
/// The file's text. `trajectory`: {run_metadata, iterations}.
std::string to_jsonl(const nlohmann::json& trajectory);

}  // namespace pmt::rlm
