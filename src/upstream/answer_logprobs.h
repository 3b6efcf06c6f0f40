// The log-probabilities of an upstream's answer, in chat's shape (content[]) or that of completions (tokens,
// token_logprobs, top_logprobs). What goes on to the client is the text itself; this is what engines judge by.
// Requires: the text was checked (base/json.h). Thread-safety: pure functions.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "llm/event.h"
#include "llm/request.h"

namespace pmt::upstream {

/// Appends to `out`; null is none. Errors: kBadGateway, not an object, or its content no list.
base::Status read_logprobs(std::string_view logprobs, llm::Endpoint endpoint,
                           std::vector<llm::TokenLogprob>& out);

}  // namespace pmt::upstream
