// tools, tool_choice and forms of answers on a local model (notes 0014, 0026): a grammar that the answer must
// follow, and a system text that names the functions to a model whose template doesn't. How calls come back:
// call_reader.h.
//
// Thread-safety: pure functions.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "inference/call_reader.h"
#include "llm/request.h"
#include "model/chat_template.h"
#include "model/native_chat.h"

namespace pmt::inference {

/// A function that may be called, and the grammar of its arguments.
struct OfferedTool {
  std::string name, description;
  std::string parameters;  // a schema's text
  model::FormGrammar arguments;
};

struct StructuredOutput {
  std::string grammar;      // GBNF; "": any text
  std::string field;        // of the request, that asked for it
  std::string instruction;  // for the system message; "": none
  bool calls = false;       // the answer may be tool calls
  bool required = false;    // and is one
  CallRules rules;          // for those
  std::vector<OfferedTool> tools;
  std::vector<std::string> unfollowed;  // what the grammar doesn't ensure: "response_format...pattern: why"
};

/// Errors: kInvalidArgument naming the field: a tool that isn't a function, a choice that names no tool, a
/// schema that can't be followed, or only in part and is asked to be `strict`.
base::Result<StructuredOutput> structured_output(const llm::Request& request);

/// The conversation as the template gets it: the instruction in the system message, earlier calls and results
/// as text.
std::vector<model::ChatMessage> chat_messages(const llm::Request& request, const std::string& instruction);

/// The same as a template gets it that knows tools: calls and results as such, without an instruction.
std::vector<model::NativeMessage> native_messages(const llm::Request& request);

}  // namespace pmt::inference
