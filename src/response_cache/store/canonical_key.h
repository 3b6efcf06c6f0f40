// The response cache's key of a request: SHA-256 over the canonical JSON of everything that can change the
// answer, and nothing else. Not in it: the request's id, cache options other than the namespace, want_trace
// and the budget.
// Thread-safety: pure functions. Cost: one pass over the request's text.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "llm/request.h"
#include "response_cache/response_cache.h"
#include "response_cache/store/canonical_json.h"

namespace pmt::response_cache {

/// The bytes that are hashed. `resolved_model`: which model really answers, however the caller named it.
/// `versions`: null, or an object of strings such as a knowledge pack's version or the model file's hash: a
/// new version is a new key.
std::string canonical_request(const llm::Request& request, std::string_view resolved_model,
                              const nlohmann::json& versions);

Key request_key(const llm::Request& request, std::string_view resolved_model, const nlohmann::json& versions);

}  // namespace pmt::response_cache
