// tools, tool_choice, response_format, messages[].tool_calls and function_call: OpenAI's JSON -> llm/tools.h.
// A type that we don't know (a custom tool, a provider's own choice) is kept as sent: an upstream may know
// it, and a local model refuses it by name. A type that we know must have its parts in their types.
// Thread-safety: pure functions. Errors: kInvalidArgument, the field below the value.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/json/json_reader.h"
#include "base/result.h"
#include "llm/tools.h"

namespace pmt::api {

base::Status read_tools(Json value, std::vector<llm::Tool>& out);
base::Status read_tool_choice(Json value, llm::ToolChoice& out);
base::Status read_response_format(Json value, llm::ResponseFormat& out);
base::Status read_tool_calls(Json value, std::vector<llm::ToolCall>& out);
/// The call of a message from before there were tools, as a call of a tool; its result names the function only.
base::Status read_function_call(Json value, llm::ToolCall& out);
std::string function_call_id(std::string_view function);

}  // namespace pmt::api
