#include "rlm/form_writer.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/json.h"

namespace pmt::rlm {
namespace {

using Kind = llm::ResponseFormat::Kind;

constexpr int kFormTokensMin = 512;  // names and braces are tokens, too

constexpr char kSystem[] =
    "You put an answer that was found into the form that a program asks for. Copy values from what was found, and "
    "write nothing that it does not say. What it does not say is null, or empty where the form has no null.";

std::string form_described(const llm::ResponseFormat& form) {
  switch (form.kind) {
    case Kind::kJsonObject:
    case Kind::kJsonSchema:
      return form.schema.empty() ? "a JSON object" : "JSON of this schema:\n" + form.schema;
    case Kind::kChoice:
      return fmt::format("one of these: {}", nlohmann::json(form.choices).dump());
    case Kind::kRegex:
      return "text of this regular expression: " + form.text;
    case Kind::kGrammar:
      return "text of this grammar:\n" + form.text;
    case Kind::kUnset:
    case Kind::kText:
    case Kind::kOther:
      break;
  }
  return "the form that was asked for";
}

bool is_json(Kind kind) {
  return kind == Kind::kJsonObject || kind == Kind::kJsonSchema;
}

}  // namespace

base::Result<std::string> in_form(Run& run, const AskedForm& asked, const std::string& question,
                                  const std::string& found) {
  const llm::ResponseFormat& form = asked.form;
  run.on_progress("writing the answer in the form that was asked for");
  const std::vector prompt = {message("system", kSystem),
                              message("user", fmt::format("Question: {}\n\nWhat was found:\n{}\n\nWrite {}",
                                                          question, found, form_described(form)))};
  const AskOptions options{
      .max_tokens = asked.max_tokens.value_or(std::max(kFormTokensMin, run.bounds.answer_tokens)),
      .form = form,
      .exact = true};
  TRY_ASSIGN(const Answer answer, run.asker.ask(run.root, prompt, options));
  if (!is_json(form.kind) || base::parse_json(answer.text)) return answer.text;
  // Cut where its caller wanted it, as any answer is.
  if (answer.usage.completion_tokens >= options.max_tokens) return answer.text;
  return base::Error{
      base::Code::kBadGateway,
      fmt::format("{} was asked to write the answer as JSON and wrote none. In plain words it is: {}",
                  run.root.name, found)};
}

}  // namespace pmt::rlm
