// The body of a request as its caller wrote it, kept for an upstream (llm::SentBody).
// Thread-safety: pure. Cost: one pass over the text, which isn't copied.
#pragma once

#include <memory>
#include <string>

#include "api/json/parse.h"
#include "llm/request.h"

namespace pmt::api {

/// Requires: `call` was read from `body`.
std::shared_ptr<const llm::SentBody> keep_body(std::string body, const CompletionCall& call);

}  // namespace pmt::api
