#include "api/parse_tools.h"

#include <limits>
#include <string>

#include <fmt/format.h>

#include "api/fields.h"
#include "base/json_text.h"

namespace pmt::api {
namespace {

constexpr std::size_t kTextMax = std::numeric_limits<std::size_t>::max();  // the body's own limit bounds it
constexpr std::size_t kNameBytesMax = 256;
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
    {"strict",
     [](Json v, llm::Function&) {
       bool strict = false;  // a grammar makes it so anyway
       return flag(v, strict);
     }},
};

struct ToolDraft {
  llm::Tool tool;
  bool has_function = false;
};

constexpr Rule<ToolDraft> kToolRules[] = {
    {"type", [](Json v, ToolDraft& d) { return read_type(v, d.tool.type); }},
    {kFunctionType,
     [](Json v, ToolDraft& d) -> base::Status {
       d.has_function = true;
       TRY(read_object<llm::Function>(v, kFunctionRules, UnknownKeys::kIgnored, d.tool.function));
       if (d.tool.function.name.empty()) return below("name", base::invalid("is required"));
       return {};
     }},
};

base::Status read_tool(Json value, llm::Tool& out) {
  ToolDraft draft;
  TRY(read_object<ToolDraft>(value, kToolRules, UnknownKeys::kIgnored, draft));
  if (draft.tool.is_function() && !draft.has_function) {
    return below(kFunctionType, base::invalid("is required in a tool of type \"function\""));
  }
  draft.tool.sent = as_sent(value);
  out = std::move(draft.tool);
  return {};
}

// --- tool_choice

struct ChoiceDraft {
  std::string type;
  llm::Function function;
  bool has_function = false;
};

constexpr Rule<ChoiceDraft> kChoiceRules[] = {
    {"type", [](Json v, ChoiceDraft& d) { return read_type(v, d.type); }},
    {kFunctionType,
     [](Json v, ChoiceDraft& d) -> base::Status {
       d.has_function = true;
       TRY(read_object<llm::Function>(v, kFunctionRules, UnknownKeys::kIgnored, d.function));
       if (d.function.name.empty()) return below("name", base::invalid("is required"));
       return {};
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

constexpr Rule<llm::ResponseFormat> kJsonSchemaRules[] = {
    {"name",
     [](Json v, llm::ResponseFormat&) {
       std::string name;  // for people
       return text(v, kNameBytesMax, name);
     }},
    {"schema", [](Json v, llm::ResponseFormat& f) { return read_schema(v, f.schema); }},
    {"strict",
     [](Json v, llm::ResponseFormat&) {
       bool strict = false;  // a grammar makes it so anyway
       return flag(v, strict);
     }},
};

constexpr Rule<FormatDraft> kFormatRules[] = {
    {"type", [](Json v, FormatDraft& d) { return read_type(v, d.type); }},
    {"json_schema",
     [](Json v, FormatDraft& d) {
       return read_object<llm::ResponseFormat>(v, kJsonSchemaRules, UnknownKeys::kIgnored, d.format);
     }},
    // llama.cpp's server and its clients put the schema of a json_object here.
    {"schema", [](Json v, FormatDraft& d) { return read_schema(v, d.format.schema); }},
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
    {"id",
     [](Json v, llm::ToolCall&) {
       std::string id;  // tool_call_id of the answer names it: nothing here depends on it
       return text(v, kTextMax, id);
     }},
    {"type",
     [](Json v, llm::ToolCall&) {
       std::string type;
       return read_type(v, type);
     }},
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
    ChoiceDraft draft;
    TRY(read_object<ChoiceDraft>(value, kChoiceRules, UnknownKeys::kIgnored, draft));
    const bool of_function = draft.type.empty() || draft.type == kFunctionType;
    if (of_function && !draft.has_function) return below(kFunctionType, base::invalid("is required"));
    choice.kind = of_function ? Kind::kFunction : Kind::kOther;
    choice.function = std::move(draft.function.name);
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
  out = std::move(draft.format);
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
