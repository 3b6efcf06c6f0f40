#include "rlm/repl_arguments.h"

#include <fmt/format.h>

#include "base/json.h"
#include "base/ordered_json.h"

namespace pmt::rlm {

using nlohmann::json;

base::Result<std::string> text_argument(const json& arguments, const char* name) {
  const auto found = arguments.find(name);
  if (found == arguments.end() || !found->is_string())
    return base::invalid(fmt::format("'{}' must be a str", name));
  return found->get<std::string>();
}

base::Result<std::vector<std::string>> prompts_argument(const json& arguments) {
  const auto found = arguments.find("prompts");
  if (found == arguments.end() || !found->is_array()) return base::invalid("'prompts' must be a list of str");
  std::vector<std::string> prompts;
  for (const json& prompt : *found) {
    if (!prompt.is_string()) return base::invalid("'prompts' must be a list of str");
    prompts.push_back(prompt.get<std::string>());
  }
  return prompts;
}

base::Result<llm::ResponseFormat> form_argument(const json& arguments) {
  llm::ResponseFormat form;
  const auto found = arguments.find("response_format");
  if (found == arguments.end() || found->is_null()) return form;
  const auto wrong = [] {
    return base::invalid(
        "'response_format' must be a dict: {'type': 'json_object'}, or {'type': 'json_schema', 'json_schema': "
        "{'name': '...', 'schema': {...}}}");
  };
  if (!found->is_string()) return wrong();
  const auto given = base::parse_ordered_json(found->get<std::string>());
  if (!given || !given->is_object()) return wrong();
  form.sent = given->dump();
  const auto type = given->find("type");
  if (type == given->end() || !type->is_string()) return wrong();
  if (*type == "text") return llm::ResponseFormat{};
  if (*type == "json_object") {
    form.kind = llm::ResponseFormat::Kind::kJsonObject;
    return form;
  }
  const auto told = given->find("json_schema");
  if (*type != "json_schema" || told == given->end() || !told->is_object()) return wrong();
  const auto schema = told->find("schema");
  if (schema == told->end() || !schema->is_object()) return wrong();
  form.kind = llm::ResponseFormat::Kind::kJsonSchema;
  form.schema = schema->dump();
  const auto strict = told->find("strict");
  form.strict = strict != told->end() && strict->is_boolean() && strict->get<bool>();
  return form;
}

}  // namespace pmt::rlm
