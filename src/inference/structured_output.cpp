#include "inference/structured_output.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/json.h"
#include "base/json_text.h"
#include "model/marker_grammar.h"
#include "model/schema_grammar.h"

namespace pmt::inference {
namespace {

constexpr std::string_view kOpen = "<tool_call>";
constexpr std::string_view kClose = "</tool_call>";
constexpr char kAnyObject[] = R"({"type":"object"})";
constexpr char kNoArguments[] = R"({"type":"object","properties":{}})";

base::Error wrong(std::string field, std::string what) {
  return base::invalid(fmt::format("'{}' {}", field, what), field);
}

std::string joined(const std::string& field, const std::string& path) {
  return path.empty() ? field : field + "." + path;
}

/// A schema's grammar, told of where it stands in the request. What it doesn't ensure is an error if `strict`,
/// and noted otherwise.
base::Result<model::FormGrammar> follow(const std::string& schema, const std::string& field,
                                        const std::string& prefix, bool strict,
                                        std::vector<std::string>& unfollowed) {
  auto grammar = model::grammar_of_schema(schema, prefix);
  if (!grammar) return wrong(joined(field, grammar.error().field), grammar.error().message);
  for (const model::Unfollowed& one : grammar->unfollowed) {
    const std::string place = joined(field, one.path);
    const std::string why = one.why.empty() ? "" : ": " + one.why;
    if (strict) {
      return wrong(
          place,
          fmt::format("can't be followed{}. Change it, or leave out 'strict': then it is passed over and "
                      "named in the answer.",
                      why));
    }
    unfollowed.push_back(place + why);
  }
  return grammar;
}

/// The functions that may be called.
base::Result<std::vector<const llm::Tool*>> read_functions(const llm::Request& request) {
  std::vector<const llm::Tool*> functions;
  for (std::size_t i = 0; i < request.tools.size(); ++i) {
    const llm::Tool& tool = request.tools[i];
    if (!tool.is_function()) {
      return wrong(fmt::format("tools[{}].type", i),
                   "must be \"function\": a local model has no other tools.");
    }
    functions.push_back(&tool);
  }
  return functions;
}

/// Calls in the history that a template can't show.
base::Status check_history(const llm::Request& request) {
  for (std::size_t i = 0; i < request.messages.size(); ++i) {
    const auto& calls = request.messages[i].tool_calls;
    for (std::size_t j = 0; j < calls.size(); ++j) {
      if (!calls[j].name.empty()) continue;
      return wrong(fmt::format("messages[{}].tool_calls[{}].function", i, j),
                   "is required: a local model knows only calls of functions.");
    }
  }
  return {};
}

enum class Choice { kNone, kAuto, kRequired };

/// Leaves in `functions` those that the choice allows.
base::Result<Choice> read_choice(const llm::ToolChoice& choice, std::vector<const llm::Tool*>& functions) {
  using Kind = llm::ToolChoice::Kind;
  const bool nothing_forced =
      choice.kind == Kind::kUnset || choice.kind == Kind::kNone || choice.kind == Kind::kAuto;
  if (functions.empty()) {
    if (nothing_forced) return Choice::kNone;
    return wrong("tool_choice", "needs 'tools' to choose from.");
  }
  if (choice.kind == Kind::kOther) {
    return wrong("tool_choice",
                 "must be none, auto, required, {\"type\": \"function\", \"function\": {\"name\"}} or "
                 "{\"type\": \"allowed_tools\", \"allowed_tools\": {\"mode\", \"tools\"}}.");
  }
  if (choice.kind == Kind::kNone) return Choice::kNone;
  if (!choice.allowed.empty()) {
    for (const std::string& name : choice.allowed) {
      const auto is = [&name](const llm::Tool* tool) { return tool->function.name == name; };
      if (std::none_of(functions.begin(), functions.end(), is))
        return wrong("tool_choice.allowed_tools.tools", "names a function that is none of the tools.");
    }
    std::erase_if(functions, [&choice](const llm::Tool* tool) {
      return std::find(choice.allowed.begin(), choice.allowed.end(), tool->function.name) ==
             choice.allowed.end();
    });
  }
  if (choice.kind == Kind::kRequired) return Choice::kRequired;
  if (nothing_forced) return Choice::kAuto;
  std::erase_if(functions,
                [&choice](const llm::Tool* tool) { return tool->function.name != choice.function; });
  if (functions.empty()) return wrong("tool_choice.function.name", "names none of the tools.");
  return Choice::kRequired;
}

/// Zero arguments, as OpenAI takes it, where a function has no schema; any object where the schema says nothing.
std::string parameters_of(const llm::Function& function) {
  if (function.parameters.empty()) return kNoArguments;
  return function.parameters == "{}" ? kAnyObject : function.parameters;
}

base::Result<std::vector<OfferedTool>> offered_of(const std::vector<const llm::Tool*>& functions,
                                                  const llm::Request& request,
                                                  std::vector<std::string>& unfollowed) {
  std::vector<OfferedTool> out;
  for (const llm::Tool* tool : functions) {
    const auto i = static_cast<std::size_t>(tool - request.tools.data());
    const std::string schema = parameters_of(tool->function);
    TRY_ASSIGN(model::FormGrammar arguments,
               follow(schema, fmt::format("tools[{}].function.parameters", i), fmt::format("t{}-", i),
                      tool->function.strict, unfollowed));
    out.push_back({tool->function.name, tool->function.description, schema, std::move(arguments)});
  }
  return out;
}

/// One call's object. The name comes first: it is chosen before the arguments are written.
model::FormGrammar grammar_of_calls(const std::vector<OfferedTool>& tools) {
  model::FormGrammar out{.root = "call", .rules = {}};
  std::string ways;
  for (const OfferedTool& tool : tools) {
    ways += fmt::format("{}{} call-arguments {}", ways.empty() ? "" : " | ",
                        model::gbnf_literal(base::json_quoted(tool.name)), tool.arguments.root);
    out.rules += tool.arguments.rules;
  }
  out.rules += fmt::format(
      "call ::= \"{{\" {0} \"\\\"name\\\"\" {0} \":\" {0} ({1}) {0} \"}}\"\n"
      "call-arguments ::= {0} \",\" {0} \"\\\"arguments\\\"\" {0} \":\" {0}\n",
      model::kGbnfSpace, ways);
  return out;
}

/// Where a form's schema stands in the request.
std::string field_of(const llm::ResponseFormat& format) {
  if (!format.field.empty()) return format.field;
  return format.kind == llm::ResponseFormat::Kind::kJsonObject ? "response_format.schema"
                                                               : "response_format.json_schema.schema";
}

/// Root "": any text will do.
base::Result<model::FormGrammar> response_grammar(const llm::ResponseFormat& format,
                                                  std::vector<std::string>& unfollowed) {
  using Kind = llm::ResponseFormat::Kind;
  if (format.is_free() || format.kind == Kind::kGrammar) return model::FormGrammar{};
  if (format.kind == Kind::kOther)
    return wrong("response_format.type", "must be text, json_object or json_schema.");
  if (format.kind == Kind::kChoice) return model::grammar_of_choices(format.choices);
  if (format.kind == Kind::kRegex) {
    auto grammar = model::grammar_of_pattern(format.text);
    if (!grammar) return wrong(format.field, grammar.error().message);
    return grammar;
  }
  const bool any_object = format.kind == Kind::kJsonObject && format.schema.empty();
  const std::string field = field_of(format);
  if (format.schema.empty() && !any_object) return wrong(field, "is required.");
  auto grammar = follow(any_object ? kAnyObject : format.schema, field, "f", format.strict, unfollowed);
  if (grammar || !format.schema_is_text) return grammar;
  base::Error error = grammar.error();  // its message says where in the text
  error.field = field;
  return error;
}

std::string instruction_of(const std::vector<const llm::Tool*>& functions, Choice choice) {
  std::string list;
  for (const llm::Tool* tool : functions) list += tool->sent + "\n";
  return fmt::format(
      "You are provided with functions:\n<tools>\n{}</tools>\n{} write a JSON object with the function's "
      "name and its arguments between tags:\n"
      "<tool_call>\n{{\"name\": \"...\", \"arguments\": {{...}}}}\n</tool_call>",
      list, choice == Choice::kRequired ? "Call one of them:" : "To call one,");
}

constexpr char kTagged[] = "tagged ::= \"<tool_call>\" \"\\n\"? call \"\\n\"? \"</tool_call>\"\n";

/// The whole answer's grammar, of its parts.
std::string combined(Choice choice, bool parallel, const model::FormGrammar& calls,
                     const model::FormGrammar& response) {
  std::string out = calls.rules + kTagged;
  const char* const more = parallel ? " (\"\\n\"? tagged)*" : "";
  if (choice == Choice::kRequired) return fmt::format("root ::= tagged{}\n{}", more, out);
  if (!response.root.empty())
    return fmt::format("root ::= tagged{} | {}\n{}{}", more, response.root, out, response.rules);
  const char* const then = parallel ? "(tagged any-0)*" : "tagged?";
  return fmt::format("root ::= any-0 {}\n{}{}", then, out, model::text_without({"<tool_call>"}));
}

}  // namespace

base::Result<StructuredOutput> structured_output(const llm::Request& request) {
  StructuredOutput out;
  TRY(check_history(request));
  TRY_ASSIGN(std::vector<const llm::Tool*> functions, read_functions(request));
  TRY_ASSIGN(const Choice choice, read_choice(request.tool_choice, functions));
  const llm::ResponseFormat& format = request.response_format;
  const bool own_grammar = format.kind == llm::ResponseFormat::Kind::kGrammar;
  if (own_grammar && choice != Choice::kNone)
    return wrong(format.field, "doesn't go with 'tools': send one of them.");
  TRY_ASSIGN(const model::FormGrammar response, response_grammar(format, out.unfollowed));
  out.field = format.field.empty() ? "response_format" : format.field;
  if (choice == Choice::kNone) {
    if (!response.root.empty()) out.grammar = response.text();
    if (own_grammar) out.grammar = format.text;
    return out;
  }
  out.calls = true;
  out.field = "tools";
  out.instruction = instruction_of(functions, choice);
  out.rules.parallel =
      request.parallel_tool_calls && request.tool_choice.kind != llm::ToolChoice::Kind::kFunction;
  out.required = choice == Choice::kRequired;
  TRY_ASSIGN(out.tools, offered_of(functions, request, out.unfollowed));
  for (const OfferedTool& tool : out.tools) out.rules.names.push_back(tool.name);
  out.grammar = combined(choice, out.rules.parallel, grammar_of_calls(out.tools), response);
  return out;
}

namespace {

/// A call of the history as the model would have written it.
std::string call_text(const llm::ToolCall& call) {
  std::string arguments = call.arguments.empty() ? "{}" : call.arguments;
  if (!base::parse_json(arguments)) arguments = base::json_quoted(arguments);
  return fmt::format("{}\n{{\"name\": {}, \"arguments\": {}}}\n{}", kOpen, base::json_quoted(call.name),
                     arguments, kClose);
}

}  // namespace

std::vector<model::NativeMessage> native_messages(const llm::Request& request) {
  std::vector<model::NativeMessage> out;
  for (const llm::Message& message : request.messages) {
    model::NativeMessage one{
        {message.role, message.content, message.name, message.reasoning}, {}, message.tool_call_id};
    for (const llm::ToolCall& call : message.tool_calls) {
      const auto sent = base::parse_json(call.sent);
      one.calls.push_back({call.name, call.arguments.empty() ? "{}" : call.arguments,
                           sent ? base::text_at(*sent, "id") : ""});
    }
    out.push_back(std::move(one));
  }
  return out;
}

std::vector<model::ChatMessage> chat_messages(const llm::Request& request, const std::string& instruction) {
  std::vector<model::ChatMessage> out;
  for (const llm::Message& message : request.messages) {
    model::ChatMessage one{message.role, message.content, message.name, message.reasoning};
    for (const llm::ToolCall& call : message.tool_calls) {
      if (!one.content.empty()) one.content += '\n';
      one.content += call_text(call);
    }
    if (message.role == "tool") {
      one.role = "user";
      one.content = fmt::format("<tool_response>\n{}\n</tool_response>", message.content);
    }
    out.push_back(std::move(one));
  }
  if (instruction.empty()) return out;
  const bool has_system = !out.empty() && (out[0].role == "system" || out[0].role == "developer");
  if (has_system) {
    out[0].content += "\n\n" + instruction;
  } else {
    out.insert(out.begin(), {"system", instruction});
  }
  return out;
}

}  // namespace pmt::inference
