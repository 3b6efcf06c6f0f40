#include "api/json/parse_tools.h"

#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "api/json/fields.h"
#include "base/json_text.h"

namespace pmt::api {
namespace {

constexpr char kFunctionType[] = "function";

/// The value's own text: members in their order, no white space between.
std::string as_sent(Json value) {
  return simdjson::minify(value);
}

base::Status read_name(Json value, std::string& out) {
  TRY(text(value, kNameBytesMax, out));
  if (out.empty()) return base::invalid("must not be an empty string");
  return {};
}

base::Status read_type(Json value, std::string& out) {
  return text(value, kNameBytesMax, out);
}

/// Rules for what must have its type and is needed by nobody here.
template <std::size_t kBytesMax, class T>
base::Status is_text(Json value, T&) {
  std::string unused;
  return text(value, kBytesMax, unused);
}
base::Status read_schema(Json value, std::string& out) {
  if (!value.is_object()) return mismatch("a JSON schema (an object)", value);
  out = as_sent(value);
  return {};
}

// --- tools

constexpr Rule<llm::Function> kFunctionRules[] = {
    {"name", [](Json v, llm::Function& f) { return read_name(v, f.name); }},
    {"description", [](Json v, llm::Function& f) { return text(v, kTextMax, f.description); }},
    {"parameters", [](Json v, llm::Function& f) { return read_schema(v, f.parameters); }},
    {"strict", [](Json v, llm::Function& f) { return flag(v, f.strict); }},
};

/// `function` of a tool or of a choice; null where it wasn't given.
base::Status read_function(Json value, std::optional<llm::Function>& out) {
  TRY(read_object<llm::Function>(value, kFunctionRules, UnknownKeys::kIgnored, out.emplace()));
  if (out->name.empty()) return below("name", base::invalid("is required"));
  return {};
}

/// {"mode": ..., "tools": [...]}: the tools that may be called, out of those that are offered.
struct AllowedTools {
  std::string mode;
  std::vector<std::string> names;
};

struct ToolDraft {
  std::string type;
  std::optional<llm::Function> function;
  AllowedTools allowed;
};

constexpr char kAllowedType[] = "allowed_tools";

constexpr Rule<ToolDraft> kToolRules[] = {
    {"type", [](Json v, ToolDraft& d) { return read_type(v, d.type); }},
    {kFunctionType, [](Json v, ToolDraft& d) { return read_function(v, d.function); }},
};

base::Status read_tool(Json value, llm::Tool& out) {
  ToolDraft draft;
  TRY(read_object<ToolDraft>(value, kToolRules, UnknownKeys::kIgnored, draft));
  if (draft.type == kFunctionType && !draft.function) {
    return below(kFunctionType, base::invalid("is required in a tool of type \"function\""));
  }
  out = {.type = std::move(draft.type),
         .function = std::move(draft.function).value_or(llm::Function{}),
         .sent = as_sent(value)};
  return {};
}

// --- tool_choice

constexpr Rule<AllowedTools> kAllowedRules[] = {
    {"mode", [](Json v, AllowedTools& a) { return read_type(v, a.mode); }},
    {"tools",
     [](Json v, AllowedTools& a) {
       return read_array(v, kTextMax, [&a](Json item) -> base::Status {
         ToolDraft tool;
         TRY(read_object<ToolDraft>(item, kToolRules, UnknownKeys::kIgnored, tool));
         if (!tool.function) return below(kFunctionType, base::invalid("is required"));
         a.names.push_back(std::move(tool.function->name));
         return {};
       });
     }},
};

constexpr Rule<ToolDraft> kChoiceRules[] = {
    {"type", [](Json v, ToolDraft& d) { return read_type(v, d.type); }},
    {kFunctionType, [](Json v, ToolDraft& d) { return read_function(v, d.function); }},
    {kAllowedType,
     [](Json v, ToolDraft& d) {
       return read_object<AllowedTools>(v, kAllowedRules, UnknownKeys::kIgnored, d.allowed);
     }},
};

llm::ToolChoice::Kind kind_of_choice(std::string_view word) {
  using Kind = llm::ToolChoice::Kind;
  if (word == "none") return Kind::kNone;
  if (word == "auto") return Kind::kAuto;
  if (word == "required") return Kind::kRequired;
  return Kind::kOther;
}

// --- response_format

struct FormatDraft {
  std::string type;
  llm::ResponseFormat format;
};

constexpr char kFormSchema[] = "response_format.json_schema.schema";
constexpr char kObjectSchema[] = "response_format.schema";

constexpr Rule<llm::ResponseFormat> kJsonSchemaRules[] = {
    {"name", is_text<kNameBytesMax, llm::ResponseFormat>},
    {"schema", [](Json v, llm::ResponseFormat& f) { return read_schema(v, f.schema); }},
    {"strict", [](Json v, llm::ResponseFormat& f) { return flag(v, f.strict); }},
};

constexpr Rule<FormatDraft> kFormatRules[] = {
    {"type", [](Json v, FormatDraft& d) { return read_type(v, d.type); }},
    {"json_schema",
     [](Json v, FormatDraft& d) {
       d.format.field = kFormSchema;
       return read_object<llm::ResponseFormat>(v, kJsonSchemaRules, UnknownKeys::kIgnored, d.format);
     }},
    // llama.cpp's server and its clients put the schema of a json_object here.
    {"schema",
     [](Json v, FormatDraft& d) {
       d.format.field = kObjectSchema;
       return read_schema(v, d.format.schema);
     }},
};

llm::ResponseFormat::Kind kind_of_format(std::string_view type) {
  using Kind = llm::ResponseFormat::Kind;
  if (type == "text") return Kind::kText;
  if (type == "json_object") return Kind::kJsonObject;
  if (type == "json_schema") return Kind::kJsonSchema;
  return Kind::kOther;
}

// --- messages[].tool_calls

/// A JSON text inside a string has the limit of every JSON text.
base::Status check_depth(std::string_view arguments) {
  if (!base::nests_deeper(arguments, base::kJsonDepthMax)) return {};
  return base::invalid(fmt::format("must not nest deeper than {} levels", base::kJsonDepthMax));
}

constexpr Rule<llm::ToolCall> kCalledRules[] = {
    {"name", [](Json v, llm::ToolCall& c) { return read_name(v, c.name); }},
    {"arguments",
     [](Json v, llm::ToolCall& c) -> base::Status {
       if (v.is_object()) {  // some clients send the object itself
         c.arguments = as_sent(v);
         return {};
       }
       TRY(text(v, kTextMax, c.arguments));
       return check_depth(c.arguments);
     }},
};

constexpr Rule<llm::ToolCall> kCallRules[] = {
    {"id", is_text<kTextMax, llm::ToolCall>},
    {"type", is_text<kNameBytesMax, llm::ToolCall>},
    {kFunctionType,
     [](Json v, llm::ToolCall& c) -> base::Status {
       TRY(read_object<llm::ToolCall>(v, kCalledRules, UnknownKeys::kIgnored, c));
       if (c.name.empty()) return below("name", base::invalid("is required"));
       return {};
     }},
};

}  // namespace

base::Status read_tools(Json value, std::vector<llm::Tool>& out) {
  out.clear();
  return read_array(value, kTextMax, [&out](Json item) { return read_tool(item, out.emplace_back()); });
}

base::Status read_tool_choice(Json value, llm::ToolChoice& out) {
  using Kind = llm::ToolChoice::Kind;
  llm::ToolChoice choice;
  if (std::string_view word; value.get(word) == simdjson::SUCCESS) {
    choice.kind = kind_of_choice(word);
  } else if (value.is_object()) {
    ToolDraft draft;  // a choice names a function as a tool describes it
    TRY(read_object<ToolDraft>(value, kChoiceRules, UnknownKeys::kIgnored, draft));
    const bool of_function = draft.type.empty() || draft.type == kFunctionType;
    if (of_function && !draft.function) return below(kFunctionType, base::invalid("is required"));
    choice.kind = of_function ? Kind::kFunction : Kind::kOther;
    if (draft.function) choice.function = std::move(draft.function->name);
    const bool some = draft.type == kAllowedType && !draft.allowed.names.empty();
    if (some && (draft.allowed.mode == "auto" || draft.allowed.mode == "required")) {
      choice.kind = kind_of_choice(draft.allowed.mode);
      choice.allowed = std::move(draft.allowed.names);
    }
  } else {
    return mismatch("a string or an object", value);
  }
  choice.sent = as_sent(value);
  out = std::move(choice);
  return {};
}

base::Status read_response_format(Json value, llm::ResponseFormat& out) {
  FormatDraft draft;
  TRY(read_object<FormatDraft>(value, kFormatRules, UnknownKeys::kIgnored, draft));
  draft.format.kind = kind_of_format(draft.type);
  draft.format.sent = as_sent(value);
  const bool lacks_schema =
      draft.format.kind == llm::ResponseFormat::Kind::kJsonSchema && draft.format.field.empty();
  if (lacks_schema) draft.format.field = "response_format.json_schema";
  out = std::move(draft.format);
  return {};
}

std::string function_call_id(std::string_view name) {
  return fmt::format("call_{}", name);
}

base::Status read_function_call(Json value, llm::ToolCall& out) {
  TRY(read_object<llm::ToolCall>(value, kCalledRules, UnknownKeys::kIgnored, out));
  if (out.name.empty()) return below("name", base::invalid("is required"));
  out.sent = fmt::format(R"({{"id":{},"type":"function","function":{{"name":{},"arguments":{}}}}})",
                         base::json_quoted(function_call_id(out.name)), base::json_quoted(out.name),
                         base::json_quoted(out.arguments));
  return {};
}

base::Status read_tool_calls(Json value, std::vector<llm::ToolCall>& out) {
  out.clear();
  return read_array(value, kTextMax, [&out](Json item) -> base::Status {
    llm::ToolCall call;
    TRY(read_object<llm::ToolCall>(item, kCallRules, UnknownKeys::kIgnored, call));
    call.sent = as_sent(item);
    out.push_back(std::move(call));
    return {};
  });
}

}  // namespace pmt::api
