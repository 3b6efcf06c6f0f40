// What a root is told of its REPL. Thread-safety: pure functions.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "rlm/run.h"
#include "sandbox/sandbox.h"

namespace pmt::rlm {

std::string system_prompt(const Run& run, int depth);
/// A str or a list of str, and its size.
std::string context_described(const nlohmann::json& context);
/// A block's output and error.
std::string shown(const sandbox::BlockResult& block);
/// The head of a turn's message: the last turns ask for an answer.
std::string turn_head(int turn, int turns);
/// Where a response had no block.
std::string nothing_to_run(const std::string& response);

}  // namespace pmt::rlm
