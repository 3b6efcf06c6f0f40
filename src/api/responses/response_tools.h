// tools, tool_choice and text.format of POST /v1/responses -> chat's. Only functions: what a provider's own
// tools do, nobody here does. Thread-safety: pure functions. Errors: kInvalidArgument below the value.
#pragma once

#include <string>
#include <vector>

#include "api/json/chat_body.h"
#include "api/json/json_reader.h"
#include "base/result.h"

namespace pmt::api {

struct ResponseTools {
  struct Tool {
    std::string name;
    std::string json;  // chat's
  };
  std::vector<Tool> tools = {};
  std::string choice = {};                // chat's JSON; "": none was given
  std::vector<std::string> allowed = {};  // tool_choice allows only these
  bool has_allowed = false;

  /// Adds what was read to the chat request. Errors: tool_choice allows a tool that isn't there.
  base::Status add_to(ChatBody& body) const;
};

base::Status read_response_tools(Json value, ResponseTools& out);
base::Status read_response_tool_choice(Json value, ResponseTools& out);
/// `text`: adds response_format and verbosity to the chat request.
base::Status read_response_text(Json value, ChatBody& body);

}  // namespace pmt::api
