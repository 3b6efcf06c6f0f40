// What a root is told of its REPL. Thread-safety: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "rlm/run.h"
#include "rlm/sessions.h"
#include "sandbox/sandbox.h"

namespace pmt::rlm {

std::string system_prompt(const Run& run, int depth);
/// A str or a list of str, and its size.
std::string context_described(const nlohmann::json& context);
/// What is there of the session's earlier requests; empty where there are none. `variables`: their names and types.
std::string session_described(const Session& session,
                              const std::vector<std::pair<std::string, std::string>>& variables);
/// A block's output and error.
std::string shown(const sandbox::BlockResult& block);
/// The head of a turn's message: the last turns ask for an answer.
std::string turn_head(int turn, int turns);
/// Where a response had no block.
std::string nothing_to_run(const std::string& response);

}  // namespace pmt::rlm
