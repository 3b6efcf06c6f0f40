#include "api/messages/message_request.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/json/fields.h"
#include "api/json/json_writer.h"
#include "api/messages/message_blocks.h"

namespace pmt::api {
namespace {

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();

struct RequestDraft {
  ChatBody body;
  std::vector<ChatMessage> system, messages;
  MessageBlocksOptions blocks;
  bool has_messages = false, has_max_tokens = false, omit_thinking = false;
  std::string effort, own_effort;
  llm::ThinkingOptions thinking;  // what chat has no member for
  base::Error unknown = {};
};

template <class T>
base::Status passed_over(Json, T&) {
  return {};
}
template <class T>
base::Status refused(Json, T&) {
  return base::invalid("is not supported here: leave it out");
}
template <class T>
base::Status off(Json value, T&) {
  bool on = false;
  TRY(flag(value, on));
  return on ? base::invalid("is not supported here: leave it out") : base::Status();
}
base::Status is_object(Json value) {
  return value.is_object() ? base::Status() : base::Status(mismatch("an object", value));
}

/// Chat has them under the same name and checks them.
constexpr std::string_view kPassed[] = {"model",      "temperature", "top_p", "top_k",
                                        "stream",     "seed",        "min_p", "chat_template_kwargs",
                                        "permutation"};

// --- tools

struct Tool {
  std::string name, description, schema, strict;
  bool has_description = false;
};

base::Status read_tool_type(Json value) {
  std::string_view type;
  if (value.get(type) == simdjson::SUCCESS && type == "custom") return {};
  return mismatch("\"custom\", the only kind of tool that there is here", value);
}

constexpr Rule<Tool> kTool[] = {
    {"type", [](Json v, Tool&) { return read_tool_type(v); }},
    {"name", [](Json v, Tool& t) { return text(v, kNameBytesMax, t.name); }},
    {"description",
     [](Json v, Tool& t) {
       t.has_description = true;
       return text(v, kTextMax, t.description);
     }},
    {"input_schema",
     [](Json v, Tool& t) -> base::Status {
       if (!v.is_object()) return mismatch("a JSON schema (an object)", v);
       t.schema = simdjson::minify(v);
       return {};
     }},
    {"strict",
     [](Json v, Tool& t) -> base::Status {
       bool strict = false;
       TRY(flag(v, strict));
       t.strict = strict ? "true" : "false";
       return {};
     }},
    {"cache_control", [](Json v, Tool&) { return is_object(v); }},
    {"allowed_callers", passed_over<Tool>},
    {"eager_input_streaming", passed_over<Tool>},
    {"input_examples", passed_over<Tool>},
    {"defer_loading", off<Tool>},
};

/// The members in the order in which people write them for chat: it is the same question.
void append_tool(std::string& out, const Tool& t) {
  ObjectWriter w(out);
  w.string("type", "function");
  ObjectWriter function(w.member("function"));
  function.string("name", t.name);
  if (t.has_description) function.string("description", t.description);
  function.member("parameters") += t.schema;
  if (!t.strict.empty()) function.member("strict") += t.strict;
  function.end();
  w.end();
}

base::Status read_tools(Json value, RequestDraft& d) {
  std::string all = "[";
  std::size_t index = 0;
  const base::Status read = read_array(value, kTextMax, [&](Json item) -> base::Status {
    if (!item.is_object()) return mismatch("an object", item);
    Json type;  // what a tool may need to be refused for, before its members are
    if (item["type"].get(type) == simdjson::SUCCESS && !type.is_null()) {
      if (const base::Status known = read_tool_type(type); !known) return below("type", known.error());
    }
    Tool tool;
    TRY(read_object<Tool>(item, kTool, UnknownKeys::kRefused, tool));
    if (tool.name.empty()) return below("name", base::invalid("is required"));
    if (tool.schema.empty()) return below("input_schema", base::invalid("is required"));
    const std::string chat = fmt::format("tools[{}]", index);
    d.body.name(chat + ".function", chat);
    d.body.name(chat + ".function.parameters", chat + ".input_schema");
    if (index++ > 0) all += ',';
    append_tool(all, tool);
    return {};
  });
  TRY(read);
  if (index > 0) d.body.add("tools", all + "]", "tools");
  return {};
}

struct Choice {
  std::string type, name;
  bool parallel = true;
};

constexpr Rule<Choice> kChoice[] = {
    {"type",
     [](Json v, Choice& c) {
       return one_of<std::string>(
           v, {{"auto", "\"auto\""}, {"any", "\"required\""}, {"none", "\"none\""}, {"tool", "tool"}},
           c.type);
     }},
    {"name", [](Json v, Choice& c) { return text(v, kNameBytesMax, c.name); }},
    {"disable_parallel_tool_use",
     [](Json v, Choice& c) -> base::Status {
       bool disabled = false;
       TRY(flag(v, disabled));
       c.parallel = !disabled;
       return {};
     }},
};

base::Status read_tool_choice(Json value, RequestDraft& d) {
  Choice choice;
  TRY(read_object<Choice>(value, kChoice, UnknownKeys::kRefused, choice));
  if (choice.type.empty()) return below("type", base::invalid("is required"));
  std::string out = choice.type;
  if (choice.type == "tool") {
    if (choice.name.empty()) return below("name", base::invalid("is required"));
    out = R"({"type":"function","function":{"name":)";
    append_string(out, choice.name);
    out += "}}";
  }
  d.body.add("tool_choice", out, "tool_choice");
  d.body.name("tool_choice.function", "tool_choice");
  if (!choice.parallel) d.body.add("parallel_tool_calls", "false", "tool_choice.disable_parallel_tool_use");
  return {};
}

// --- thinking, output_config and other settings

struct Thinking {
  std::string type, display;
  std::int64_t budget = 0;
};

constexpr Rule<Thinking> kThinkingMembers[] = {
    {"type",
     [](Json v, Thinking& t) {
       return one_of<std::string>(v,
                                  {{"enabled", "enabled"},
                                   {"disabled", "disabled"},
                                   {"adaptive", "adaptive"},
                                   {"between_tools", "between_tools"}},
                                  t.type);
     }},
    {"budget_tokens", [](Json v, Thinking& t) { return integer(v, 1, kInt32Max, t.budget); }},
    {"display",
     [](Json v, Thinking& t) {
       return one_of<std::string>(v, {{"summarized", ""}, {"omitted", "omitted"}}, t.display);
     }},
};

/// Chat says in a word how much to think.
const char* effort_of(std::int64_t budget) {
  constexpr std::int64_t kLow = 2'048, kMedium = 8'192;
  if (budget <= kLow) return "low";
  return budget <= kMedium ? "medium" : "high";
}

base::Status read_thinking(Json value, RequestDraft& d) {
  Thinking thinking;
  TRY(read_object<Thinking>(value, kThinkingMembers, UnknownKeys::kRefused, thinking));
  if (thinking.type.empty()) return below("type", base::invalid("is required"));
  d.omit_thinking = thinking.display == "omitted";
  d.thinking.on = thinking.type != "disabled";
  if (thinking.type != "enabled") return {};
  if (thinking.budget == 0) return below("budget_tokens", base::invalid("is required"));
  d.thinking.budget_tokens = static_cast<int>(thinking.budget);
  d.body.name("permutation.thinking", "thinking.budget_tokens");
  if (d.effort.empty()) {
    d.effort = effort_of(thinking.budget);
    d.own_effort = "thinking.budget_tokens";
  }
  return {};
}

struct OutputFormat {
  std::string type, schema;
};

constexpr Rule<OutputFormat> kOutputFormat[] = {
    {"type",
     [](Json v, OutputFormat& f) {
       return one_of<std::string>(v, {{"json_schema", "json_schema"}}, f.type);
     }},
    {"schema",
     [](Json v, OutputFormat& f) -> base::Status {
       if (!v.is_object()) return mismatch("a JSON schema (an object)", v);
       f.schema = simdjson::minify(v);
       return {};
     }},
};

template <const char* kOwn>
base::Status read_format(Json value, RequestDraft& d) {
  OutputFormat format;
  TRY(read_object<OutputFormat>(value, kOutputFormat, UnknownKeys::kRefused, format));
  if (format.type.empty()) return below("type", base::invalid("is required"));
  if (format.schema.empty()) return below("schema", base::invalid("is required"));
  d.body.add("response_format",
             R"({"type":"json_schema","json_schema":{"name":"answer","schema":)" + format.schema + "}}",
             kOwn);
  d.body.name("response_format.json_schema", kOwn);
  return {};
}

constexpr char kConfigFormat[] = "output_config.format";
constexpr char kOutputFormatName[] = "output_format";

constexpr Rule<RequestDraft> kOutputConfig[] = {
    {"effort",
     [](Json v, RequestDraft& d) {
       d.own_effort = "output_config.effort";
       return one_of<std::string>(
           v, {{"low", "low"}, {"medium", "medium"}, {"high", "high"}, {"xhigh", "xhigh"}, {"max", "max"}},
           d.effort);
     }},
    {"format", read_format<kConfigFormat>},
};

base::Status read_metadata(Json value, RequestDraft& d) {
  static constexpr Rule<RequestDraft> kRules[] = {
      {"user_id",
       [](Json v, RequestDraft& into) -> base::Status {
         std::string unused;
         TRY(text(v, 1'024, unused));
         into.body.add("user", simdjson::minify(v), "metadata.user_id");
         return {};
       }},
  };
  return read_object<RequestDraft>(value, kRules, UnknownKeys::kRefused, d);
}

/// Earlier thinking is kept here anyway; other edits of the context would change the answer.
base::Status read_context_management(Json value, RequestDraft& d) {
  static constexpr Rule<RequestDraft> kRules[] = {
      {"edits",
       [](Json v, RequestDraft&) {
         return read_array(v, 16, [](Json item) -> base::Status {
           std::string_view type;
           if (item["type"].get(type) == simdjson::SUCCESS && type.starts_with("clear_thinking_")) return {};
           return below("type", base::invalid("must be clear_thinking: others are not supported here"));
         });
       }},
  };
  return read_object<RequestDraft>(value, kRules, UnknownKeys::kRefused, d);
}

base::Status read_stops(Json value, RequestDraft& d) {
  if (!value.is_array()) return mismatch("an array of strings", value);
  simdjson::dom::array stops;
  if (value.get(stops) == simdjson::SUCCESS && stops.size() == 0) return {};
  d.body.add("stop", simdjson::minify(value), "stop_sequences");
  return {};
}

base::Status read_messages(Json value, RequestDraft& d) {
  d.has_messages = true;
  d.messages.clear();
  std::size_t index = 0;
  return read_array(value, kTextMax, [&](Json item) {
    return read_message_item(item, fmt::format("messages[{}]", index++), d.blocks, d.messages);
  });
}

constexpr Rule<RequestDraft> kRules[] = {
    {"messages", read_messages},
    {"system",
     [](Json v, RequestDraft& d) {
       d.system.clear();
       return read_message_system(v, d.blocks, d.system);
     }},
    {"max_tokens",
     [](Json v, RequestDraft& d) -> base::Status {
       std::int64_t tokens = 0;
       TRY(integer(v, 1, kInt32Max, tokens));
       d.has_max_tokens = true;
       d.body.add("max_tokens", std::to_string(tokens), "max_tokens");
       return {};
     }},
    {"stop_sequences", read_stops},
    {"tools", read_tools},
    {"tool_choice", read_tool_choice},
    {"thinking", read_thinking},
    {"output_config",
     [](Json v, RequestDraft& d) {
       return read_object<RequestDraft>(v, kOutputConfig, UnknownKeys::kRefused, d);
     }},
    {kOutputFormatName, read_format<kOutputFormatName>},
    {"metadata", read_metadata},
    {"context_management", read_context_management},
    {"service_tier",
     [](Json v, RequestDraft&) {
       std::string_view word;
       return one_of<std::string_view>(v, {{"auto", ""}, {"standard_only", ""}}, word);
     }},
    {"speed",
     [](Json v, RequestDraft&) {
       std::string_view word;
       return one_of<std::string_view>(v, {{"standard", ""}}, word);
     }},
    {"cache_control", [](Json v, RequestDraft&) { return is_object(v); }},
    {"diagnostics", [](Json v, RequestDraft&) { return is_object(v); }},
    {"user_profile_id", passed_over<RequestDraft>},
    {"workspace_id", passed_over<RequestDraft>},
    {"container", refused<RequestDraft>},
    {"inference_geo", refused<RequestDraft>},
    {"mcp_servers", refused<RequestDraft>},
};

void take_other(std::string_view name, Json value, RequestDraft& d) {
  if (std::ranges::find(kPassed, name) != std::end(kPassed)) {
    if (!value.is_null()) d.body.add(name, simdjson::minify(value), std::string(name));
    return;
  }
  if (!d.unknown.message.empty()) return;
  std::vector<std::string_view> known(std::begin(kPassed), std::end(kPassed));
  for (const Rule<RequestDraft>& rule : kRules) known.push_back(rule.name);
  d.unknown = base::invalid("is no parameter of this API" + suggestion(name, known),
                            name.empty() ? "\"\"" : std::string(name));
}

base::Status read_root(Json root, const MessageRequestOptions& options, RequestDraft& d) {
  if (!root.is_object()) return base::invalid("The request's body must be a JSON object.");
  std::string_view model;
  const bool named = root["model"].get(model) == simdjson::SUCCESS;
  const bool remote = named && options.is_remote(model);
  d.blocks.keep_cache_control = remote;
  TRY(read_object<RequestDraft>(root, kRules, UnknownKeys::kIgnored, d, take_other));
  if (!d.unknown.message.empty()) return d.unknown;
  if (!d.has_messages || d.messages.empty()) {
    return below("messages", base::invalid("is required: send at least one message"));
  }
  if (!d.has_max_tokens && !options.counting) return below("max_tokens", base::invalid("is required"));
  if (!remote && d.messages.back().role == "assistant") {
    return below("messages", base::invalid("must not end with the assistant's own message: the models here "
                                           "don't continue one"));
  }
  return {};
}

}  // namespace

base::Result<MessageCall> read_message_request(const std::string& body,
                                               const MessageRequestOptions& options) {
  TRY_ASSIGN(const Json root, parse_json(body));
  RequestDraft d;
  if (base::Status s = read_root(root, options, d); !s) return name_field(s.error());
  if (!d.effort.empty()) d.body.add("reasoning_effort", '"' + d.effort + '"', d.own_effort);
  d.body.messages = std::move(d.system);
  std::ranges::move(d.messages, std::back_inserter(d.body.messages));
  std::string text = d.body.text();
  FieldNames names = d.body.take_names();
  base::Result<CompletionCall> call = read_completion(llm::Endpoint::kChat, text, options.engines);
  if (!call) return names.own_words(call.error());
  llm::ThinkingOptions& local = call->request.thinking;
  if (d.thinking.on) local.on = d.thinking.on;
  if (!local.budget_tokens) local.budget_tokens = d.thinking.budget_tokens;
  return MessageCall{*std::move(call), std::move(text), std::move(names), d.omit_thinking};
}

}  // namespace pmt::api
