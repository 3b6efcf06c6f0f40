#include "inference/structured_output.h"

#include <map>
#include <utility>

#include <fmt/format.h>

#include "base/hash.h"
#include "model/grammar.h"

namespace pmt::inference {
namespace {

using nlohmann::json;

constexpr std::string_view kOpen = "<tool_call>";
constexpr std::string_view kClose = "</tool_call>";

base::Error wrong(std::string field, std::string what) {
  return base::invalid(fmt::format("'{}' {}", field, what), field);
}

/// The functions that may be called, by name: {"name", "description", "parameters"}.
base::Result<std::vector<json>> read_functions(const llm::Request& request) {
  std::vector<json> functions;
  if (!request.tools.is_array()) return functions;
  for (std::size_t i = 0; i < request.tools.size(); ++i) {
    const json& tool = request.tools[i];
    const std::string field = fmt::format("tools[{}]", i);
    if (!tool.is_object() || tool.value("type", json()) != "function") {
      return wrong(field + ".type", "must be \"function\": a local model has no other tools.");
    }
    const json function = tool.value("function", json());
    if (!function.is_object() || !function.value("name", json()).is_string()) {
      return wrong(field + ".function.name", "is required.");
    }
    const json parameters = function.value("parameters", json());
    if (!parameters.is_null() && !parameters.is_object()) {
      return wrong(field + ".function.parameters", "must be a JSON schema.");
    }
    functions.push_back(function);
  }
  return functions;
}

enum class Choice { kNone, kAuto, kRequired };

/// Leaves in `functions` those that the choice allows.
base::Result<Choice> read_choice(const json& choice, std::vector<json>& functions) {
  if (functions.empty()) {
    if (choice.is_null() || choice == "none" || choice == "auto") return Choice::kNone;
    return wrong("tool_choice", "needs 'tools' to choose from.");
  }
  if (choice.is_null() || choice == "auto") return Choice::kAuto;
  if (choice == "none") return Choice::kNone;
  if (choice == "required") return Choice::kRequired;
  const json name =
      choice.is_object() ? choice.value("function", json::object()).value("name", json()) : json();
  if (!name.is_string()) {
    return wrong("tool_choice",
                 "must be none, auto, required or {\"type\": \"function\", \"function\": {\"name\"}}.");
  }
  std::erase_if(functions, [&name](const json& function) { return function["name"] != name; });
  if (functions.empty()) return wrong("tool_choice.function.name", "names none of the tools.");
  return Choice::kRequired;
}

json call_schema(const std::vector<json>& functions) {
  json calls = json::array();
  for (const json& function : functions) {
    json parameters = function.value("parameters", json());
    if (parameters.is_null()) parameters = {{"type", "object"}};
    calls.push_back(
        {{"type", "object"},
         {"properties", {{"name", {{"const", function["name"]}}}, {"arguments", std::move(parameters)}}},
         {"required", {"name", "arguments"}}});
  }
  if (calls.size() == 1) return calls[0];
  return {{"anyOf", std::move(calls)}};
}

/// Null: any text.
base::Result<json> response_schema(const json& format) {
  if (format.is_null()) return json();
  const json type = format.value("type", json());
  if (type == "text") return json();
  if (type == "json_object") return json{{"type", "object"}};
  if (type != "json_schema")
    return wrong("response_format.type", "must be text, json_object or json_schema.");
  const json schema = format.value("json_schema", json::object()).value("schema", json());
  if (!schema.is_object()) return wrong("response_format.json_schema.schema", "is required.");
  return schema;
}

base::Result<std::string> grammar_of(const json& schema, const char* field) {
  auto grammar = model::grammar_of_schema(schema.dump());
  if (!grammar) return wrong(field, grammar.error().message);
  return grammar;
}

std::string instruction_of(const std::vector<json>& functions, Choice choice) {
  std::string list;
  for (const json& function : functions)
    list += json{{"type", "function"}, {"function", function}}.dump() + "\n";
  return fmt::format(
      "You are provided with functions:\n<tools>\n{}</tools>\n{} write a JSON object with the function's "
      "name and "
      "its arguments between tags:\n<tool_call>\n{{\"name\": \"...\", \"arguments\": {{...}}}}\n</tool_call>",
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

/// What `bare` calls and responses look like: told apart by their members.
bool is_call(const json& value) {
  return value.is_object() && value.size() == 2 && value.contains("name") && value.contains("arguments") &&
         value["name"].is_string();
}

}  // namespace

base::Result<StructuredOutput> structured_output(const llm::Request& request) {
  StructuredOutput out;
  if (request.endpoint != llm::Endpoint::kChat) return out;
  TRY_ASSIGN(std::vector<json> functions, read_functions(request));
  TRY_ASSIGN(const Choice choice, read_choice(request.tool_choice, functions));
  TRY_ASSIGN(const json response, response_schema(request.response_format));
  if (choice == Choice::kNone) {
    if (!response.is_null()) {
      TRY_ASSIGN(out.grammar, grammar_of(response, "response_format"));
    }
    return out;
  }
  out.calls = true;
  out.instruction = instruction_of(functions, choice);
  if (choice == Choice::kAuto && !response.is_null()) {
    out.bare = true;
    TRY_ASSIGN(out.grammar,
               grammar_of({{"anyOf", json::array({call_schema(functions), response})}}, "response_format"));
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

std::vector<model::ChatMessage> chat_messages(const llm::Request& request, const std::string& instruction) {
  std::vector<model::ChatMessage> out;
  for (const llm::Message& message : request.messages) {
    model::ChatMessage one{message.role, message.content, message.name};
    if (message.tool_calls.is_array()) {
      for (const json& call : message.tool_calls) {
        if (!call.is_object()) continue;
        const json function = call.value("function", json::object());
        json arguments = function.value("arguments", json());
        if (arguments.is_string()) {
          const json parsed = json::parse(arguments.get_ref<const std::string&>(), nullptr, false);
          if (!parsed.is_discarded()) arguments = parsed;
        }
        one.content +=
            fmt::format("{}{}\n{}\n{}", one.content.empty() ? "" : "\n", kOpen,
                        json{{"name", function.value("name", json())}, {"arguments", arguments}}.dump(
                            -1, ' ', false, json::error_handler_t::replace),
                        kClose);
      }
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
      json calls = read_calls(answer.text, end.choice);
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
  json read_calls(std::string_view text, int choice) const {
    json calls = json::array();
    const auto add = [&](std::string_view body) {
      const json value = json::parse(body, nullptr, false);
      if (!is_call(value)) return false;
      const std::string seed = fmt::format("{}/{}/{}/{}", id_, choice, calls.size(), body);
      calls.push_back({{"id", "call_" + base::sha256(seed).hex().substr(0, 24)},
                       {"type", "function"},
                       {"function", {{"name", value["name"]}, {"arguments", value["arguments"].dump()}}}});
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
