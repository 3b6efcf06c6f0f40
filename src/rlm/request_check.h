// What of a request `rlm` can't do, and what it has no use for. Thread-safety: pure functions.
#pragma once

#include <string>
#include <vector>

#include "llm/request.h"
#include "rlm/run.h"

namespace pmt::rlm {

/// Members of a request that rlm has no use for: it writes its own prompts, at temperature 0, and calls no functions
/// of the caller's.
std::vector<std::string> unused_members(const llm::Request& request);

/// Before anything is read. Errors: kInvalidArgument: n, tools for a root that writes no programs, and what the root says
/// of the form.
base::Status check_request(const llm::Request& request, const Model& root);

}  // namespace pmt::rlm
