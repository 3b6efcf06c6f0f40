// A found answer in the form that its caller asked for (`response_format`, or what other servers call it): the root
// model copies it there, by a grammar where it runs here. Thread-safety: one answer's thread.
#pragma once

#include <string>
#include <vector>

#include "llm/request.h"
#include "rlm/run.h"

namespace pmt::rlm {

/// `found` is an answer to `question` in plain words. Errors: the call's; kBadGateway, where a model elsewhere wrote
/// no JSON though JSON was asked for. Cost: one call of the root.
base::Result<std::string> in_form(Run& run, const llm::Request& request, const std::string& question,
                                  const std::string& found);

/// Members of a request that rlm has no use for: it writes its own prompts, at temperature 0, and calls no functions
/// of the caller's.
std::vector<std::string> unused_members(const llm::Request& request);

/// Before anything is read. Errors: kInvalidArgument, what can't be answered by rlm at all (n, a function that must be
/// called), and what the root says of the form.
base::Status check_request(const llm::Request& request, const Model& root);

}  // namespace pmt::rlm
