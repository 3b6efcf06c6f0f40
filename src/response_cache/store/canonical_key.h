// The response cache's key of a request: SHA-256 over the canonical JSON of everything that can change the
// answer, and nothing else. Not in it: the request's id, cache options other than the namespace, want_trace
// and the budget. Of engines' own options it takes what their rooms say (llm/engine_options.h).
// An upstream may act on members that we don't know, so the key of what may reach one holds all that its caller
// wrote: the members of the body as they were written (without white space, in the order of their names, null
// as absent), and of messages what their own members don't hold. Left out is what no answer depends on: who asks
// (user, safety_identifier), what is noted of it (metadata, store), where its prompt is cached (prompt_cache_key,
// prompt_cache_retention), how soon it comes and what that costs (service_tier), and how it is sent (stream,
// stream_options).
// Where an upstream is sent the body in its caller's own API (llm::SentBody::own), all members of that are in the
// key, but for the same ones: they may say what chat has no words for.
// Thread-safety: pure functions. Cost: one pass over the request's text.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "llm/request.h"
#include "response_cache/store/canonical_json.h"
#include "response_cache/store/entry.h"

namespace pmt::response_cache {

struct KeyOptions {
  bool forwards = false;  // what the caller wrote may reach an upstream
};

/// The bytes that are hashed. `resolved_model`: which model really answers, however the caller named it.
/// `versions`: null, or an object of strings such as a knowledge pack's version or the model file's hash: a
/// new version is a new key.
std::string canonical_request(const llm::Request& request, std::string_view resolved_model,
                              const nlohmann::json& versions, KeyOptions options = {});

Key request_key(const llm::Request& request, std::string_view resolved_model, const nlohmann::json& versions,
                KeyOptions options = {});

/// What is hashed of the body as it was written, as canonical JSON: {"name": "text", ...}; "" if nothing is.
std::string canonical_sent(const llm::SentBody& sent);
/// The same of the body in its caller's own API, where that is what an upstream may be sent.
std::string canonical_own(const llm::SentBody& sent);

}  // namespace pmt::response_cache
