// The body of a request as its caller wrote it, kept for an upstream (llm::SentBody).
// Thread-safety: pure. Cost: one pass over the text, which isn't copied.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "api/json/parse.h"
#include "llm/request.h"

namespace pmt::api {

/// `own`: the same in the words of the API that its caller asked by; unset: that is chat, or nobody there speaks it.
/// Requires: `call` was read from `body`.
std::shared_ptr<const llm::SentBody> keep_body(std::string body, const CompletionCall& call,
                                               std::optional<llm::SentBody::Own> own);

}  // namespace pmt::api
