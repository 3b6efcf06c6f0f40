// Fields that OpenAI doesn't have and the clients of llama.cpp's server, vLLM and others send: forms of answers,
// lengths and sampling. A local model follows them; to an upstream they go as they came, whatever they hold.
#pragma once

#include "api/json/json_reader.h"
#include "base/result.h"
#include "llm/request.h"

namespace pmt::api {

/// Reads those of `root`, a whole request, into `out`, and their own text into out.other_options, by name, for
/// the response cache's key; and into out.ignored the names of members that no local model acts on. Errors: kInvalidArgument, of a value that a local model can't follow: an upstream may
/// know better. Cost: a look at each member.
base::Status read_other_servers_fields(Json root, llm::Request& out);

}  // namespace pmt::api
