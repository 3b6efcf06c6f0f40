// llm::Request -> the body of an OpenAI-compatible request. What has OpenAI's default is left out, so that
// servers which know fewer fields are served too. Thread-safety: pure functions.
#pragma once

#include <string>

#include "llm/request.h"
#include "upstream/remote_options.h"

namespace pmt::upstream {

/// `stream`: ask for server-sent events, with usage.
std::string request_body(const llm::Request& request, const RemoteOptions& options, bool stream);

}  // namespace pmt::upstream
