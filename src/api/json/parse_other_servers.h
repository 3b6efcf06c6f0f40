// Fields that OpenAI doesn't have and the clients of llama.cpp's server, vLLM and others send: forms of answers,
// lengths and sampling. A local model follows them; to an upstream they go as they came, whatever they hold.
#pragma once

#include <string_view>
#include <vector>

#include "api/json/json_reader.h"
#include "base/result.h"
#include "llm/request.h"

namespace pmt::api {

/// A member of a request that OpenAI doesn't have at its endpoint.
struct OtherField {
  std::string_view name;
  Json value;
};

/// Reads them into `out`: their own text into out.other_options, by name, for the response cache's key, and into
/// out.ignored the names of members that no local model acts on. Requires: the request's other members are read.
/// Errors: kInvalidArgument, of a value that a local model can't follow: an upstream may know better.
base::Status read_other_servers_fields(const std::vector<OtherField>& fields, llm::Request& out);

}  // namespace pmt::api
