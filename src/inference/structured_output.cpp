#include "inference/structured_output.h"

#include <map>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/json_text.h"
#include "model/grammar.h"
#include "model/schema_limits.h"

namespace pmt::inference {
namespace {

constexpr std::string_view kOpen = "<tool_call>";
constexpr std::string_view kClose = "</tool_call>";
constexpr char kAnyObject[] = R"({"type":"object"})";

base::Error wrong(std::string field, std::string what) {
  return base::invalid(fmt::format("'{}' {}", field, what), field);
}

/// Its limits, told of the schema's own place: the whole grammar's would name only `tools`.
base::Status check_schema(const std::string& schema, std::string field) {
  if (schema.empty()) return {};
  const base::Status checked = model::check_schema(schema);
  if (!checked) return wrong(std::move(field), checked.error().message);
  return {};
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
    TRY(check_schema(tool.function.parameters, fmt::format("tools[{}].function.parameters", i)));
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
                 "must be none, auto, required or {\"type\": \"function\", \"function\": {\"name\"}}.");
  }
  if (choice.kind == Kind::kNone) return Choice::kNone;
  if (choice.kind == Kind::kRequired) return Choice::kRequired;
  if (nothing_forced) return Choice::kAuto;
  std::erase_if(functions,
                [&choice](const llm::Tool* tool) { return tool->function.name != choice.function; });
  if (functions.empty()) return wrong("tool_choice.function.name", "names none of the tools.");
  return Choice::kRequired;
}

/// The name comes first: it is chosen before the arguments are written.
std::string call_schema(const std::vector<const llm::Tool*>& functions) {
  std::string calls;
  for (const llm::Tool* tool : functions) {
    const llm::Function& function = tool->function;
    calls += fmt::format(
        R"({}{{"type":"object","properties":{{"name":{{"const":{}}},"arguments":{}}},"required":["name","arguments"]}})",
        calls.empty() ? "" : ",", base::json_quoted(function.name),
        function.parameters.empty() ? kAnyObject : function.parameters);
  }
  return functions.size() == 1 ? calls : fmt::format(R"({{"anyOf":[{}]}})", calls);
}

/// The schema's text; "": any text will do.
base::Result<std::string> response_schema(const llm::ResponseFormat& format) {
  using Kind = llm::ResponseFormat::Kind;
  if (format.is_free()) return std::string();
  if (format.kind == Kind::kOther)
    return wrong("response_format.type", "must be text, json_object or json_schema.");
  const bool any_object = format.kind == Kind::kJsonObject;
  TRY(check_schema(format.schema,
                   any_object ? "response_format.schema" : "response_format.json_schema.schema"));
  if (!format.schema.empty()) return format.schema;
  if (any_object) return std::string(kAnyObject);
  return wrong("response_format.json_schema.schema", "is required.");
}

base::Result<std::string> grammar_of(const std::string& schema, const char* field) {
  auto grammar = model::grammar_of_schema(schema);
  if (!grammar) return wrong(field, grammar.error().message);
  return grammar;
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

/// One schema's grammar under another name than root: only this rule is renamed.
std::string as_rule(const std::string& grammar, std::string_view name) {
  std::string out;
  std::size_t at = 0;
  while (at < grammar.size()) {
    std::size_t end = grammar.find('\n', at);
    if (end == std::string::npos) end = grammar.size();
    std::string_view line(grammar.data() + at, end - at);
    if (line.starts_with("root ::=")) {
      out.append(name).append(line.substr(4));
    } else {
      out.append(line);
    }
    out += '\n';
    at = end + 1;
  }
  return out;
}

struct WrittenCall {
  std::string name;
  std::string_view arguments;  // as the model wrote them
};

/// A call that a model wrote: an object with a name and arguments, told apart by its members.
std::optional<WrittenCall> read_call(std::string_view text) {
  const auto members = base::object_members(text);  // of JSON within the limits
  if (!members || members->size() != 2) return std::nullopt;
  std::optional<std::string> name;
  std::optional<std::string_view> arguments;
  for (const base::JsonMember& member : *members) {
    if (member.name == "name") name = base::json_string(member.value);
    if (member.name == "arguments") arguments = member.value;
  }
  if (!name || !arguments) return std::nullopt;
  return WrittenCall{std::move(*name), *arguments};
}

}  // namespace

base::Result<StructuredOutput> structured_output(const llm::Request& request) {
  StructuredOutput out;
  if (request.endpoint != llm::Endpoint::kChat) return out;
  TRY(check_history(request));
  TRY_ASSIGN(std::vector<const llm::Tool*> functions, read_functions(request));
  TRY_ASSIGN(const Choice choice, read_choice(request.tool_choice, functions));
  TRY_ASSIGN(const std::string response, response_schema(request.response_format));
  if (choice == Choice::kNone) {
    if (!response.empty()) {
      TRY_ASSIGN(out.grammar, grammar_of(response, "response_format"));
    }
    return out;
  }
  out.calls = true;
  out.instruction = instruction_of(functions, choice);
  if (choice == Choice::kAuto && !response.empty()) {
    out.bare = true;
    TRY_ASSIGN(out.grammar,
               grammar_of(fmt::format(R"({{"anyOf":[{},{}]}})", call_schema(functions), response),
                          "response_format"));
    return out;
  }
  TRY_ASSIGN(const std::string calls, grammar_of(call_schema(functions), "tools"));
  out.grammar = as_rule(calls, "call");
  out.grammar += "tagged ::= \"<tool_call>\\n\" call \"\\n</tool_call>\"\n";
  out.grammar += choice == Choice::kRequired
                     ? "root ::= tagged\n"
                     : "root ::= tagged (\"\\n\" tagged)* | free\nfree ::= ([^<] | \"<\" [^t]) [^\\x00]*\n";
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

std::vector<model::ChatMessage> chat_messages(const llm::Request& request, const std::string& instruction) {
  std::vector<model::ChatMessage> out;
  for (const llm::Message& message : request.messages) {
    model::ChatMessage one{message.role, message.content, message.name};
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

namespace {

class ToolCallSink final : public llm::Sink {
 public:
  ToolCallSink(std::shared_ptr<llm::Sink> sink, std::string id, bool bare)
      : sink_(std::move(sink)), id_(std::move(id)), bare_(bare) {}

  void on_event(llm::Event event) override {
    if (auto* delta = std::get_if<llm::Delta>(&event)) return on_delta(std::move(*delta));
    if (auto* end = std::get_if<llm::ChoiceEnd>(&event)) return on_end(std::move(*end));
    sink_->on_event(std::move(event));
  }

 private:
  struct Answer {
    std::string text;
    std::vector<llm::Delta> held;
    bool plain = false;  // it is no call: passes through
  };

  void on_delta(llm::Delta delta) {
    Answer& answer = answers_[delta.choice];
    if (answer.plain) return sink_->on_event(std::move(delta));
    answer.text += delta.text;
    answer.held.push_back(std::move(delta));
    const std::string_view begin = std::string_view(answer.text).substr(0, kOpen.size());
    if (!bare_ && begin != kOpen.substr(0, begin.size())) release(answer);
  }

  void on_end(llm::ChoiceEnd end) {
    Answer& answer = answers_[end.choice];
    if (!answer.plain) {
      std::vector<std::string> calls = read_calls(answer.text, end.choice);
      if (calls.empty()) {
        release(answer);
      } else {
        end.tool_calls = std::move(calls);
        if (end.reason == llm::FinishReason::kStop) end.reason = llm::FinishReason::kToolCalls;
      }
    }
    sink_->on_event(std::move(end));
  }

  void release(Answer& answer) {
    answer.plain = true;
    for (llm::Delta& delta : std::exchange(answer.held, {})) sink_->on_event(std::move(delta));
  }

  /// Those that are whole; none if the text is anything else.
  std::vector<std::string> read_calls(std::string_view text, int choice) const {
    std::vector<std::string> calls;
    const auto add = [&](std::string_view body) {
      const auto call = read_call(body);
      if (!call) return false;
      const std::string seed = fmt::format("{}/{}/{}/{}", id_, choice, calls.size(), body);
      calls.push_back(
          fmt::format(R"({{"id":"call_{}","type":"function","function":{{"name":{},"arguments":{}}}}})",
                      base::sha256(seed).hex().substr(0, 24), base::json_quoted(call->name),
                      base::json_quoted(call->arguments)));
      return true;
    };
    if (bare_) {
      add(text);
      return calls;
    }
    for (std::size_t at = 0; (at = text.find(kOpen, at)) != std::string_view::npos;) {
      at += kOpen.size();
      const std::size_t end = text.find(kClose, at);
      if (end == std::string_view::npos || !add(text.substr(at, end - at))) break;
      at = end;
    }
    return calls;
  }

  const std::shared_ptr<llm::Sink> sink_;
  const std::string id_;
  const bool bare_;
  std::map<int, Answer> answers_;
};

}  // namespace

std::shared_ptr<llm::Sink> make_tool_call_sink(std::shared_ptr<llm::Sink> sink, std::string id, bool bare) {
  return std::make_shared<ToolCallSink>(std::move(sink), std::move(id), bare);
}

}  // namespace pmt::inference
