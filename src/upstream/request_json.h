// llm::Request -> the body of an OpenAI-compatible request.
// A request that its caller wrote goes on as the caller's own text (llm::SentBody). Changed is: `model`; `stream`
// and stream_options.include_usage, where we ask otherwise than the caller; what an engine set otherwise
// (sampling, max_tokens, n, logprobs); the length's name, where the configuration says so. `permutation` is left
// out. All else, known or not, is the same bytes in the same order.
// One that we composed is written here: what has OpenAI's default is left out, so that servers which know fewer
// fields are served too.
// A server that speaks another API is sent the caller's own body, where the caller asked by that API too (changed are
// `model` and `stream`; left out is what only this server acts on), else chat's words translated into it (note 0031).
// Thread-safety: pure functions. Cost: a copy of the text; of a translation, two passes more.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "llm/request.h"
#include "upstream/remote_options.h"

namespace pmt::upstream {

/// `stream`: ask for server-sent events, with usage.
std::string request_body(const llm::Request& request, const RemoteOptions& options, bool stream);

struct WrittenRequest {
  std::string target;  // below base_url
  std::string body;
  std::vector<std::string> ignored;  // members that the server's API has no words for
};
/// By the API that the server speaks. Errors: kInvalidArgument, its API can't say it.
base::Result<WrittenRequest> write_request(const llm::Request& request, const RemoteOptions& options,
                                           bool stream);

}  // namespace pmt::upstream
