// OpenAI's JSON -> llm::Request, for POST /v1/chat/completions and POST /v1/completions.
// Strict on what it knows (types, ranges, roles) where a model of ours is asked; an upstream judges for itself.
// Silent about top-level fields that it doesn't know, as other OpenAI-compatible servers are; inside `permutation` an unknown key is an error, since nobody else sends
// one. It judges shape only: what no model here can do yet is refused by supported.h. Cost: a chat request of
// 200 bytes takes about 1 us (api_benchmark).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/json/json_reader.h"
#include "base/result.h"
#include "llm/engine_options_reader.h"
#include "llm/request.h"

namespace pmt::api {

/// The engines whose options a request may carry: ApiOptions::engine_options.
using EngineOptionsReaders = std::span<const llm::EngineOptionsReader>;

/// One of `prompt`'s: a text, or token ids if there are any.
struct Prompt {
  std::string text = {};
  std::vector<std::int32_t> tokens = {};
};

struct CompletionCall {
  llm::Request request;
  /// Of a list of several; `request` has the first of them then.
  std::vector<Prompt> prompts;
  int best_of = 1;  // at least request.n: as many are drawn for each prompt, and the best n are given
  bool stream = false;
  bool include_usage = false;
  /// Fields that would change the answer and that this server never acts on: their names, if given.
  std::vector<std::string> unsupported;
  /// What a model of ours can't take of the body, and an upstream may: an image, a role, more than our limits.
  /// What is refused isn't in `request`; an upstream gets it by Request::sent.
  std::vector<base::Error> refusals;
  std::optional<int> max_tokens;  // as the caller wrote it: request.max_tokens knows the budget, too
};

/// Reads a request's body for a model of ours. Errors: kInvalidArgument, with OpenAI's `param` in Error::field.
base::Result<CompletionCall> parse_completion(llm::Endpoint endpoint, const std::string& body,
                                              EngineOptionsReaders engines);

/// The same for any model: what only ours refuse is in CompletionCall::refusals. Errors: what no model could be
/// asked (the body is no JSON, names no model, has no messages; stream or `permutation` are wrong).
base::Result<CompletionCall> read_completion(llm::Endpoint endpoint, const std::string& body,
                                             EngineOptionsReaders engines);

/// Reads `permutation` (parse_extension.cpp) and one item of `messages` (parse_messages.cpp).
base::Status parse_extension(Json value, EngineOptionsReaders engines, llm::Request& out);
base::Status parse_message(Json value, llm::Message& out);

/// Folds a Cache-Control request header into `cache`; the stricter of header and body wins:
/// no-store = off, no-cache = refresh, max-age=N, only-if-cached. Other directives are passed over.
/// Errors: kInvalidArgument, a max-age that isn't a number.
base::Status apply_cache_control(std::string_view header, llm::CacheOptions& cache);

}  // namespace pmt::api
