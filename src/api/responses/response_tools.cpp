#include "api/responses/response_tools.h"

#include <algorithm>

#include <fmt/format.h>

#include "api/json/fields.h"
#include "api/json/json_writer.h"

namespace pmt::api {
namespace {

template <class T>
base::Status passed_over(Json, T&) {
  return {};
}
template <class T>
base::Status off(Json value, T&) {
  bool on = false;
  TRY(flag(value, on));
  return on ? base::invalid("is not supported here: leave it out") : base::Status();
}

struct Function {
  std::string name, description, parameters, strict;
  bool has_description = false;
};

base::Status read_type(Json value) {
  std::string_view type;
  if (value.get(type) == simdjson::SUCCESS && type == "function") return {};
  return mismatch("\"function\", the only kind of tool that there is here", value);
}

constexpr Rule<Function> kFunction[] = {
    {"type", [](Json v, Function&) { return read_type(v); }},
    {"name", [](Json v, Function& f) { return text(v, kNameBytesMax, f.name); }},
    {"description",
     [](Json v, Function& f) {
       f.has_description = true;
       return text(v, kTextMax, f.description);
     }},
    {"parameters",
     [](Json v, Function& f) -> base::Status {
       if (!v.is_object()) return mismatch("a JSON schema (an object)", v);
       f.parameters = simdjson::minify(v);
       return {};
     }},
    {"strict",
     [](Json v, Function& f) -> base::Status {
       bool strict = false;
       TRY(flag(v, strict));
       f.strict = strict ? "true" : "false";
       return {};
     }},
    {"output_schema", passed_over<Function>},
    {"allowed_callers", passed_over<Function>},
    {"async", off<Function>},
    {"defer_loading", off<Function>},
};

/// The members in the order in which people write them: a schema before its name would be another question.
std::string chat_form(const Function& f) {
  std::string out;
  ObjectWriter w(out);
  w.string("type", "function");
  ObjectWriter function(w.member("function"));
  function.string("name", f.name);
  if (f.has_description) function.string("description", f.description);
  if (!f.parameters.empty()) function.member("parameters") += f.parameters;
  if (!f.strict.empty()) function.member("strict") += f.strict;
  function.end();
  w.end();
  return out;
}

/// A tool's `type` is what it may need to be refused for: it is looked at before its members are.
base::Status read_tool(Json value, ResponseTools& out) {
  if (!value.is_object()) return mismatch("an object", value);
  Json type;
  if (value["type"].get(type) != simdjson::SUCCESS) return below("type", base::invalid("is required"));
  if (const base::Status known = read_type(type); !known) return below("type", known.error());
  Function f;
  TRY(read_object<Function>(value, kFunction, UnknownKeys::kRefused, f));
  if (f.name.empty()) return below("name", base::invalid("is required"));
  out.tools.push_back({.name = f.name, .json = chat_form(f)});
  return {};
}

std::string function_choice(std::string_view name) {
  std::string out = R"({"type":"function","function":{"name":)";
  append_string(out, name);
  return out + "}}";
}

struct Choice {
  std::string type, name, mode;
  std::vector<std::string> allowed;
};

base::Status read_allowed(Json value, Choice& choice) {
  return read_array(value, kTextMax, [&choice](Json item) -> base::Status {
    if (!item.is_object()) return mismatch("an object", item);
    Json type, name;
    if (item["type"].get(type) == simdjson::SUCCESS) {
      if (const base::Status known = read_type(type); !known) return below("type", known.error());
    }
    if (item["name"].get(name) != simdjson::SUCCESS) return below("name", base::invalid("is required"));
    if (const base::Status read = text(name, kNameBytesMax, choice.allowed.emplace_back()); !read)
      return below("name", read.error());
    return {};
  });
}

constexpr Rule<Choice> kChoice[] = {
    {"type",
     [](Json v, Choice& c) {
       return one_of<std::string>(v, {{"function", "function"}, {"allowed_tools", "allowed_tools"}}, c.type);
     }},
    {"name", [](Json v, Choice& c) { return text(v, kNameBytesMax, c.name); }},
    {"mode",
     [](Json v, Choice& c) {
       return one_of<std::string>(v, {{"auto", "\"auto\""}, {"required", "\"required\""}}, c.mode);
     }},
    {"tools", read_allowed},
};

struct Format {
  std::string type, name, description, schema, strict;
};

constexpr Rule<Format> kFormat[] = {
    {"type",
     [](Json v, Format& f) {
       return one_of<std::string>(
           v, {{"text", "text"}, {"json_object", "json_object"}, {"json_schema", "json_schema"}}, f.type);
     }},
    {"name", [](Json v, Format& f) { return text(v, kNameBytesMax, f.name); }},
    {"description", [](Json v, Format& f) { return text(v, kTextMax, f.description); }},
    {"schema",
     [](Json v, Format& f) -> base::Status {
       if (!v.is_object()) return mismatch("a JSON schema (an object)", v);
       f.schema = simdjson::minify(v);
       return {};
     }},
    {"strict",
     [](Json v, Format& f) -> base::Status {
       bool strict = false;
       TRY(flag(v, strict));
       f.strict = strict ? "true" : "false";
       return {};
     }},
};

base::Status read_format(Json value, ChatBody& body) {
  Format f;
  TRY(read_object<Format>(value, kFormat, UnknownKeys::kRefused, f));
  if (f.type.empty()) return below("type", base::invalid("is required"));
  if (f.type == "json_schema" && f.schema.empty()) {
    return below("schema", base::invalid("is required in a format of type \"json_schema\""));
  }
  if (f.type == "text") return {};  // what it is anyway
  std::string out;
  ObjectWriter w(out);
  w.string("type", f.type);
  if (f.type == "json_schema") {
    ObjectWriter schema(w.member("json_schema"));
    schema.string("name", f.name);
    if (!f.description.empty()) schema.string("description", f.description);
    schema.member("schema") += f.schema;
    if (!f.strict.empty()) schema.member("strict") += f.strict;
    schema.end();
  }
  w.end();
  body.add("response_format", out, "text.format");
  body.name("response_format.json_schema", "text.format");
  return {};
}

constexpr Rule<ChatBody> kTextConfig[] = {
    {"format", read_format},
    {"verbosity",
     [](Json v, ChatBody& body) -> base::Status {
       std::string level;
       TRY(one_of<std::string>(v, {{"low", "low"}, {"medium", "medium"}, {"high", "high"}}, level));
       body.add("verbosity", simdjson::minify(v), "text.verbosity");
       return {};
     }},
};

}  // namespace

base::Status read_response_tools(Json value, ResponseTools& out) {
  out.tools.clear();
  return read_array(value, kTextMax, [&out](Json item) { return read_tool(item, out); });
}

base::Status read_response_tool_choice(Json value, ResponseTools& out) {
  if (value.is_string()) {
    return one_of<std::string>(
        value, {{"none", "\"none\""}, {"auto", "\"auto\""}, {"required", "\"required\""}}, out.choice);
  }
  if (!value.is_object()) return mismatch("a string or an object", value);
  Choice choice;
  TRY(read_object<Choice>(value, kChoice, UnknownKeys::kRefused, choice));
  if (choice.type.empty()) return below("type", base::invalid("is required"));
  if (choice.type == "function") {
    if (choice.name.empty()) return below("name", base::invalid("is required"));
    out.choice = function_choice(choice.name);
    return {};
  }
  if (choice.allowed.empty()) return below("tools", base::invalid("must name at least one tool"));
  out.choice = choice.mode.empty() ? "\"auto\"" : choice.mode;
  out.allowed = std::move(choice.allowed);
  out.has_allowed = true;
  return {};
}

base::Status read_response_text(Json value, ChatBody& body) {
  return read_object<ChatBody>(value, kTextConfig, UnknownKeys::kRefused, body);
}

base::Status ResponseTools::add_to(ChatBody& body) const {
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    const bool known = std::ranges::any_of(tools, [&](const Tool& tool) { return tool.name == allowed[i]; });
    if (known) continue;
    return name_field(base::invalid(fmt::format("names '{}', which isn't among the tools", allowed[i]),
                                    fmt::format("tool_choice.tools[{}].name", i)));
  }
  std::string out;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < tools.size(); ++i) {
    if (has_allowed && std::ranges::find(allowed, tools[i].name) == allowed.end()) continue;
    out += (kept == 0 ? "[" : ",") + tools[i].json;
    body.name(fmt::format("tools[{}]", kept), fmt::format("tools[{}]", i));
    body.name(fmt::format("tools[{}].function", kept), fmt::format("tools[{}]", i));
    ++kept;
  }
  if (kept > 0) body.add("tools", out + "]", "tools");
  if (!choice.empty()) body.add("tool_choice", choice, "tool_choice");
  body.name("tool_choice.function", "tool_choice");
  return {};
}

}  // namespace pmt::api
