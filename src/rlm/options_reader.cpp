#include "rlm/options_reader.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/json_text.h"
#include "rlm/rlm_request.h"

namespace pmt::rlm {
namespace {

using base::flag;
using base::integer;
using base::Json;
using base::Rule;

constexpr std::size_t kContextBytesMax = 1U << 30;  // the body's own limit comes first
constexpr std::size_t kContextPartsMax = 100'000;
constexpr std::int64_t kDepthMax = 16;
constexpr std::int64_t kIterationsMax = 100;

base::Status read_context(Json value, RlmRequest& rlm) {
  const auto read_part = [&rlm](Json item) {
    return base::text(item, kContextBytesMax, rlm.context.emplace_back());
  };
  if (value.is_string()) return read_part(value);
  return base::read_array(value, kContextPartsMax, read_part);
}

constexpr std::size_t kToolsMax = 64;
constexpr std::size_t kPythonBytesMax = 1 << 20;
constexpr std::size_t kDescriptionBytesMax = 4'000;

/// JSON's literals are Python's but for three words. `python` grows.
void append_literal(Json value, std::string& python) {
  simdjson::dom::array items;
  simdjson::dom::object members;
  bool truth = false;
  if (value.get(items) == simdjson::SUCCESS) {
    python += '[';
    for (const Json item : items) {
      append_literal(item, python);
      python += ", ";
    }
    python += ']';
  } else if (value.get(members) == simdjson::SUCCESS) {
    python += '{';
    for (const auto member : members) {
      python += base::json_quoted(member.key) + ": ";
      append_literal(member.value, python);
      python += ", ";
    }
    python += '}';
  } else if (value.get(truth) == simdjson::SUCCESS) {
    python += truth ? "True" : "False";
  } else if (value.is_null()) {
    python += "None";
  } else {
    python += simdjson::minify(value);
  }
}

/// What a tool's value is where its caller says no more of it.
std::string described(Json value) {
  if (value.is_array()) return "a list";
  if (value.is_object()) return "a dict";
  if (value.is_string()) return "a str";
  return value.is_number() ? "a number" : "a value";
}

base::Status read_value(Json value, CustomTool& tool) {
  tool.python = tool.name + " = ";
  append_literal(value, tool.python);
  if (tool.python.size() > kPythonBytesMax)
    return base::invalid(fmt::format("must be of at most {} bytes", kPythonBytesMax));
  if (tool.description.empty()) tool.description = described(value);
  return {};
}

base::Status read_python(Json value, CustomTool& tool) {
  TRY(base::text(value, kPythonBytesMax, tool.python));
  tool.python += fmt::format("\n{0} = {0}\n", tool.name);  // it must be there then
  if (tool.description.empty()) tool.description = "a function";
  return {};
}

constexpr Rule<CustomTool> kToolRules[] = {
    {"tool", read_value},
    {"python", read_python},
    {"description", [](Json v, CustomTool& t) { return base::text(v, kDescriptionBytesMax, t.description); }},
};

/// A value as it is; or {"tool": value} or {"python": text}, with a "description".
base::Status read_tool(Json value, CustomTool& tool) {
  const bool says_more =
      value.is_object() && (!value.at_key("tool").error() || !value.at_key("python").error());
  if (!says_more) return read_value(value, tool);
  if (!value.at_key("tool").error() && !value.at_key("python").error())
    return base::invalid("must have 'tool', a value, or 'python', a text that defines it, not both");
  return base::read_object<CustomTool>(value, kToolRules, base::UnknownKeys::kRefused, tool);
}

base::Status read_tools(Json value, CustomTools& tools) {
  simdjson::dom::object members;
  if (value.get(members) != simdjson::SUCCESS)
    return base::mismatch("an object of tools by their names", value);
  if (members.size() > kToolsMax) return base::invalid(fmt::format("must have at most {} tools", kToolsMax));
  for (const auto member : members) {
    CustomTool tool{.name = std::string(member.key), .python = {}, .description = {}};
    base::Status read = check_tool_name(member.key);
    if (read) read = read_tool(member.value, tool);
    if (!read) return base::below(member.key, read.error());
    std::erase_if(tools, [&](const CustomTool& before) { return before.name == tool.name; });
    tools.push_back(std::move(tool));
  }
  return {};
}

constexpr std::size_t kSessionBytesMax = 64;

/// It stands in a path, too.
base::Status read_session(Json value, RlmRequest& rlm) {
  std::string name;
  TRY(base::text(value, kContextBytesMax, name));
  const auto good = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
  if (name.empty() || name.size() > kSessionBytesMax || name[0] == '.' || !std::ranges::all_of(name, good)) {
    return base::invalid(fmt::format(
        "must be a name of 1 to {} letters, digits, '-', '_' and '.', with no '.' first", kSessionBytesMax));
  }
  rlm.session = std::move(name);
  return {};
}

constexpr Rule<RlmRequest> kRules[] = {
    {"context", read_context},
    {"max_depth", [](Json v, RlmRequest& r) { return integer(v, 1, kDepthMax, r.depth_max); }},
    {"max_iterations", [](Json v, RlmRequest& r) { return integer(v, 1, kIterationsMax, r.iterations_max); }},
    {"enable_kv_cache_compression", [](Json v, RlmRequest& r) { return flag(v, r.kv_compression); }},
    {"enable_speculative_decoding", [](Json v, RlmRequest& r) { return flag(v, r.speculation); }},
    {"custom_tools", [](Json v, RlmRequest& r) { return read_tools(v, r.tools); }},
    {"custom_sub_tools", [](Json v, RlmRequest& r) { return read_tools(v, r.sub_tools.emplace()); }},
    {"session", read_session},
};

}  // namespace

llm::EngineOptionsReader options_reader() {
  return {RlmRequest::kName, [](Json value, llm::EngineOptions& into) {
            return llm::read_engine_options<RlmRequest>(value, kRules, into);
          }};
}

}  // namespace pmt::rlm
