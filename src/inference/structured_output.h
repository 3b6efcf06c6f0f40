// tools, tool_choice and response_format on a local model (note 0014): a grammar that the answer must follow,
// a system text that names the functions, and the way back from the model's text to OpenAI's tool_calls.
//
// A call is written as Hermes, Qwen and SmolLM2 were trained to:
//   <tool_call>
//   {"name": "weather", "arguments": {"city": "Oslo"}}
//   </tool_call>
// so any model with a chat template can do it, whether or not its template knows of tools.
//
// Thread-safety: pure functions; the sink as any.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "llm/completer.h"
#include "model/chat_template.h"

namespace pmt::inference {

struct StructuredOutput {
  std::string grammar;      // GBNF; "": any text
  std::string instruction;  // for the system message; "": none
  bool calls = false;       // the answer may be tool calls
  bool bare = false;        // they come as JSON without the tags
};

/// Errors: kInvalidArgument naming the field: a tool that isn't a function, a choice that names no tool, a
/// schema that can't be followed.
base::Result<StructuredOutput> structured_output(const llm::Request& request);

/// The conversation as the template gets it: the instruction in the system message, earlier calls and results
/// as text.
std::vector<model::ChatMessage> chat_messages(const llm::Request& request, const std::string& instruction);

/// Turns an answer's text that is a call into ChoiceEnd::tool_calls; other text passes through. `bare` as
/// above. The calls' ids are made of `id`.
std::shared_ptr<llm::Sink> make_tool_call_sink(std::shared_ptr<llm::Sink> sink, std::string id, bool bare);

}  // namespace pmt::inference
