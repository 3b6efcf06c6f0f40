// tools, tool_choice, response_format and messages[].tool_calls: OpenAI's JSON -> llm/tools.h.
// A type that we don't know (a custom tool, a provider's own choice) is kept as sent: an upstream may know
// it, and a local model refuses it by name. A type that we know must have its parts in their types.
// Thread-safety: pure functions. Errors: kInvalidArgument, the field below the value.
#pragma once

#include <vector>

#include "api/json/json_reader.h"
#include "base/result.h"
#include "llm/tools.h"

namespace pmt::api {

base::Status read_tools(Json value, std::vector<llm::Tool>& out);
base::Status read_tool_choice(Json value, llm::ToolChoice& out);
base::Status read_response_format(Json value, llm::ResponseFormat& out);
base::Status read_tool_calls(Json value, std::vector<llm::ToolCall>& out);

}  // namespace pmt::api
