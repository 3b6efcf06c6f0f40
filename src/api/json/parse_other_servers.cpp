#include "api/json/parse_other_servers.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/json/fields.h"
#include "api/json/parse.h"

namespace pmt::api {
namespace {

using llm::Request;
using Form = llm::ResponseFormat::Kind;

constexpr std::int64_t kCountMax = std::numeric_limits<std::int32_t>::max();
constexpr std::size_t kGrammarBytesMax = 1 << 20;
constexpr std::size_t kOthersChoicesMax = 2'000;
constexpr std::size_t kTokensMax = 1 << 18;
constexpr std::size_t kBreakersMax = 64;

/// A form that several fields ask for can only be one.
base::Status set_form(Request& r, const char* field, llm::ResponseFormat form) {
  if (!r.response_format.is_free())
    return base::invalid("asks for a second form of the answer: send one of them");
  form.field = field;
  r.response_format = std::move(form);
  return {};
}

/// A schema as an object, or as the text of one.
base::Status read_schema(Json value, llm::ResponseFormat& form) {
  if (value.is_object() || value.is_bool()) {
    form.schema = simdjson::minify(value);
    return {};
  }
  form.schema_is_text = true;
  if (value.is_string()) TRY(text(value, kGrammarBytesMax, form.schema));
  if (form.schema.empty()) return mismatch("a JSON schema (an object)", value);
  return {};
}

template <const char* kName>
base::Status schema_form(Json value, Request& r) {
  llm::ResponseFormat form{.kind = Form::kJsonSchema, .schema = {}, .sent = {}};
  TRY(read_schema(value, form));
  return set_form(r, kName, std::move(form));
}

template <const char* kName, Form kKind>
base::Status text_form(Json value, Request& r) {
  llm::ResponseFormat form{.kind = kKind, .schema = {}, .sent = {}};
  TRY(text(value, kGrammarBytesMax, form.text));
  if (form.text.empty()) return {};
  return set_form(r, kName, std::move(form));
}

template <const char* kName>
base::Status choice_form(Json value, Request& r) {
  llm::ResponseFormat form{.kind = Form::kChoice, .schema = {}, .sent = {}};
  TRY(read_array(value, kOthersChoicesMax,
                 [&form](Json item) { return text(item, kGrammarBytesMax, form.choices.emplace_back()); }));
  if (form.choices.empty()) return {};
  return set_form(r, kName, std::move(form));
}

constexpr char kGrammar[] = "grammar";
constexpr char kJsonSchema[] = "json_schema";
constexpr char kGuidedJson[] = "guided_json";
constexpr char kGuidedRegex[] = "guided_regex";
constexpr char kGuidedChoice[] = "guided_choice";
constexpr char kGuidedGrammar[] = "guided_grammar";
constexpr char kOutputs[] = "structured_outputs";
constexpr char kOutputsJson[] = "structured_outputs.json";
constexpr char kOutputsRegex[] = "structured_outputs.regex";
constexpr char kOutputsChoice[] = "structured_outputs.choice";
constexpr char kOutputsGrammar[] = "structured_outputs.grammar";

constexpr Rule<Request> kOutputsRules[] = {
    {"json", schema_form<kOutputsJson>},
    {"regex", text_form<kOutputsRegex, Form::kRegex>},
    {"choice", choice_form<kOutputsChoice>},
    {"grammar", text_form<kOutputsGrammar, Form::kGrammar>},
};

base::Status read_tokens(Json value, std::vector<std::int32_t>& out) {
  out.clear();
  return read_array(value, kTokensMax,
                    [&out](Json item) { return integer(item, 0, kCountMax, out.emplace_back()); });
}

base::Status read_breakers(Json value, Request& r) {
  std::vector<std::string>& out = r.sampling.dry.breakers;
  out.clear();
  return read_array(value, kBreakersMax, [&out](Json item) { return text(item, 256, out.emplace_back()); });
}

constexpr Range kShare = {.min = 0, .max = 1};
constexpr Range kFromZero = {.min = 0, .max = 1e6};

base::Status read_repetition(Json value, Request& r) {
  return number(value, {.min = 0.001, .max = 100}, r.sampling.repetition_penalty);
}

constexpr Rule<Request> kActedOn[] = {
    {kGrammar, text_form<kGrammar, Form::kGrammar>},
    {kJsonSchema, schema_form<kJsonSchema>},
    {kGuidedJson, schema_form<kGuidedJson>},
    {kGuidedRegex, text_form<kGuidedRegex, Form::kRegex>},
    {kGuidedChoice, choice_form<kGuidedChoice>},
    {kGuidedGrammar, text_form<kGuidedGrammar, Form::kGrammar>},
    {kOutputs,
     [](Json v, Request& r) { return read_object<Request>(v, kOutputsRules, UnknownKeys::kRefused, r); }},
    {"parallel_tool_calls", [](Json v, Request& r) { return flag(v, r.parallel_tool_calls); }},
    {"ignore_eos", [](Json v, Request& r) { return flag(v, r.ignore_eos); }},
    {"min_tokens", [](Json v, Request& r) { return integer(v, 0, kCountMax, r.min_tokens); }},
    {"stop_token_ids", [](Json v, Request& r) { return read_tokens(v, r.stop_token_ids); }},
    {"repetition_penalty", read_repetition},
    {"repeat_penalty", read_repetition},
    {"repeat_last_n",
     [](Json v, Request& r) { return integer(v, -1, kCountMax, r.sampling.repetition_last_n); }},
    {"typical_p", [](Json v, Request& r) { return number(v, kShare, r.sampling.typical_p); }},
    {"top_n_sigma",
     [](Json v, Request& r) { return number(v, {.min = -1, .max = 1e6}, r.sampling.top_n_sigma); }},
    {"xtc_probability", [](Json v, Request& r) { return number(v, kShare, r.sampling.xtc_probability); }},
    {"xtc_threshold", [](Json v, Request& r) { return number(v, kShare, r.sampling.xtc_threshold); }},
    {"dry_multiplier", [](Json v, Request& r) { return number(v, kFromZero, r.sampling.dry.multiplier); }},
    {"dry_base", [](Json v, Request& r) { return number(v, {.min = 1, .max = 1e3}, r.sampling.dry.base); }},
    {"dry_allowed_length",
     [](Json v, Request& r) { return integer(v, 0, kCountMax, r.sampling.dry.allowed_length); }},
    {"dry_penalty_last_n",
     [](Json v, Request& r) { return integer(v, -1, kCountMax, r.sampling.dry.last_n); }},
    {"dry_sequence_breakers", read_breakers},
};

/// Would change the answer, and nobody here does it: an error, unless it asks for nothing.
constexpr std::string_view kRefused[] = {"mirostat",
                                         "mirostat_tau",
                                         "mirostat_eta",
                                         "dynatemp_range",
                                         "dynatemp_exponent",
                                         "tfs_z",
                                         "tfs",
                                         "top_a",
                                         "smoothing_factor",
                                         "samplers",
                                         "sampler_seq",
                                         "length_penalty",
                                         "early_stopping",
                                         "use_beam_search",
                                         "n_predict",
                                         "prompt_logprobs",
                                         "truncate_prompt_tokens",
                                         "allowed_token_ids",
                                         "bad_words",
                                         "logits_processors",
                                         "thinking_forced_open",
                                         "guided_whitespace_pattern",
                                         "prefill",
                                         "continue_final_message",
                                         "adaptive_target",
                                         "min_keep",
                                         "lora",
                                         "prediction",
                                         "modalities"};

bool asks_nothing(Json value) {
  bool flag = false;
  double number = 0;
  simdjson::dom::array items;
  std::string_view text;
  if (value.is_null()) return true;
  if (value.get(flag) == simdjson::SUCCESS) return !flag;
  if (value.get(number) == simdjson::SUCCESS) return number == 0;
  if (value.get(text) == simdjson::SUCCESS) return text.empty();
  return value.get(items) == simdjson::SUCCESS && items.size() == 0;
}

/// OpenAI's text is all that a local model writes.
bool is_only_text(std::string_view name, Json value) {
  simdjson::dom::array items;
  if (name != "modalities" || value.get(items) != simdjson::SUCCESS) return false;
  return std::all_of(items.begin(), items.end(), [](Json one) {
    std::string_view text;
    return one.get(text) == simdjson::SUCCESS && text == "text";
  });
}

template <std::size_t kCount>
bool is_one_of(std::string_view name, const std::string_view (&all)[kCount]) {
  return std::find(std::begin(all), std::end(all), name) != std::end(all);
}

const Rule<Request>* rule_of(std::string_view name) {
  const auto* const found = std::find_if(std::begin(kActedOn), std::end(kActedOn),
                                         [&](const auto& rule) { return rule.name == name; });
  return found == std::end(kActedOn) ? nullptr : found;
}

}  // namespace

base::Status read_other_servers_fields(const std::vector<OtherField>& fields, llm::Request& out) {
  std::map<std::string_view, std::string> acted_on;
  for (const auto& [name, value] : fields) {
    if (value.is_null()) continue;
    if (const Rule<Request>* const rule = rule_of(name)) {
      if (base::Status s = rule->read(value, out); !s) return below(name, s.error());
      acted_on[name] = simdjson::minify(value);
    } else if (is_one_of(name, kRefused)) {
      if (asks_nothing(value) || is_only_text(name, value)) continue;
      return below(name, base::invalid("is not supported by local models: leave it out"));
    } else {
      out.ignored.emplace_back(name);
    }
  }
  for (const auto& [name, value] : acted_on) {
    out.other_options += out.other_options.empty() ? '{' : ',';
    out.other_options += fmt::format("\"{}\":{}", name, value);
  }
  if (!out.other_options.empty()) out.other_options += '}';
  return {};
}

}  // namespace pmt::api
