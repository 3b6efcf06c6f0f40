// What an upstream says that an answer took, in whatever words its kind of server has:
//
//   read from its prompt cache                         | written to it                              | says so
//   prompt_tokens_details.cached_tokens                | .cache_write_tokens, cache_creation_tokens | OpenAI, xAI, ...
//   input_tokens_details.cached_tokens                 | .cache_write_tokens                        | Responses
//   cache_read_input_tokens                            | cache_creation_input_tokens                | Messages, LiteLLM
//   prompt_cache_hit_tokens (and _miss_tokens)         |                                            | DeepSeek
//   cached_tokens                                      |                                            | Moonshot
//
// Where a prompt is `input_tokens` without input_tokens_details (Messages), it doesn't count what that cache read
// or was written: they are added, so that prompt_tokens means the same everywhere.
// Foreign input: any valid JSON; a figure that is none, negative or more than the whole is none.
// Thread-safety: pure functions. Cost: one pass over the text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "llm/usage.h"

namespace pmt::upstream {

/// The value of an answer's "usage". Requires: it was checked (base/json.h). Nothing for what is no object.
/// `details` has what isn't told otherwise: of chat's words all but the three sums, so that its caller gets them
/// as they were written.
llm::Usage read_usage(std::string_view usage);

/// Null, or what of the table above is read wrong: for the audit.
std::optional<std::string> usage_self_test();

}  // namespace pmt::upstream
