// For tests of the other APIs' readers: what the response cache sees of a request, so that the same question is
// the same key, whichever API asks it. Thread-safety: pure functions.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "api/json/parse.h"
#include "response_cache/store/canonical_key.h"

namespace pmt::api {

inline std::string question(const llm::Request& request) {
  return response_cache::canonical_request(request, "m", nullptr);
}

/// Of a body of POST /v1/chat/completions, which must be right.
inline std::string chat_question(const std::string& body) {
  const auto call = parse_completion(llm::Endpoint::kChat, body, {});
  if (call) return question(call->request);
  ADD_FAILURE() << call.error().message;
  return "";
}

}  // namespace pmt::api
