#include "api/json/parse.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "api/json/fields.h"
#include "api/json/parse_other_servers.h"
#include "api/json/parse_tools.h"
#include "llm/event.h"

namespace pmt::api {
namespace {

constexpr std::size_t kPromptsMax = 2048;
constexpr std::size_t kAllChoicesMax = llm::kChoicesMax;
constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kInt64Min = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();

/// What is read before fields that depend on one another can be put together.
struct Draft {
  EngineOptionsReaders engines;
  CompletionCall call;
  std::optional<int> max_tokens, max_completion_tokens;
  bool chat_logprobs = false;
  std::optional<int> top_logprobs;
  std::optional<int> best_of;
  std::optional<bool> template_thinks;  // what chat_template_kwargs say of it
  bool prompt_given = false;
  std::vector<OtherField> others;  // that no rule below reads
};

/// OpenAI's seeds are 64-bit, ours 32: small ones stay themselves, others are mixed down.
std::uint32_t seed_of(std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  if (bits < std::numeric_limits<std::uint32_t>::max()) return static_cast<std::uint32_t>(bits);
  return static_cast<std::uint32_t>((bits * 0x9E3779B97F4A7C15ULL) >> 33);
}

base::Status read_seed(Json value, Draft& d) {
  std::int64_t seed = 0;
  if (std::uint64_t large = 0; value.is_uint64() && value.get(large) == simdjson::SUCCESS) {
    d.call.request.sampling.seed = seed_of(static_cast<std::int64_t>(large));
    return {};
  }
  TRY(integer(value, kInt64Min, kInt64Max, seed));
  d.call.request.sampling.seed = seed_of(seed);
  return {};
}

base::Status read_stop(Json value, Draft& d) {
  constexpr std::size_t kStopsMax = 4;
  std::vector<std::string>& stop = d.call.request.stop;
  const auto read_one = [&stop](Json item) -> base::Status {
    std::string s;
    TRY(text(item, kTextMax, s));
    if (s.empty()) return base::invalid("must not be an empty string");
    stop.push_back(std::move(s));
    return {};
  };
  stop.clear();
  if (value.is_array()) return read_array(value, kStopsMax, read_one);
  if (!value.is_string()) return mismatch("a string or an array of strings", value);
  return read_one(value);
}

base::Status read_logit_bias(Json value, Draft& d) {
  simdjson::dom::object entries;
  if (value.get(entries) != simdjson::SUCCESS) return mismatch("an object of token ids", value);
  for (const auto entry : entries) {
    const std::string key(entry.key);
    std::int64_t id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 || id > kInt32Max) {
      return below(key, base::invalid("must be named by a token id"));
    }
    float bias = 0;
    if (auto s = number(entry.value, {-100, 100}, bias); !s) return below(key, s.error());
    d.call.request.sampling.logit_bias[static_cast<std::int32_t>(id)] = bias;
  }
  return {};
}

base::Status read_stream_options(Json value, Draft& d) {
  static constexpr Rule<CompletionCall> kRules[] = {
      {"include_usage", [](Json v, CompletionCall& c) { return flag(v, c.include_usage); }},
  };
  return read_object<CompletionCall>(value, kRules, UnknownKeys::kIgnored, d.call);
}

/// A message that our models don't take is kept as it is, for an upstream.
base::Status read_messages(Json value, Draft& d) {
  std::vector<llm::Message>& messages = d.call.request.messages;
  messages.clear();
  return read_array(value, kTextMax, [&](Json item) -> base::Status {
    const std::size_t i = messages.size();
    llm::Message& message = messages.emplace_back();
    const base::Status read = parse_message(item, message);
    if (read || !item.is_object()) return read;
    message.more = simdjson::minify(item);
    d.call.refusals.push_back(below("messages", below(fmt::format("[{}]", i), read.error())));
    return {};
  });
}

base::Status read_token_ids(Json value, std::vector<std::int32_t>& ids) {
  return read_array(value, kTextMax,
                    [&ids](Json item) { return integer(item, 0, kInt32Max, ids.emplace_back()); });
}

base::Status read_listed_prompt(Json value, Prompt& out) {
  if (!value.is_string() && !value.is_array()) return mismatch("a string or an array of token ids", value);
  TRY(value.is_string() ? text(value, kTextMax, out.text) : read_token_ids(value, out.tokens));
  if (out.text.empty() && out.tokens.empty()) return base::invalid("must not be empty");
  return {};
}

/// A string, an array of token ids, or a list of either.
base::Status read_prompt(Json value, Draft& d) {
  llm::Request& request = d.call.request;
  d.prompt_given = true;
  request.prompt.clear();
  request.prompt_tokens.clear();
  d.call.prompts.clear();
  if (value.is_string()) return text(value, kTextMax, request.prompt);
  simdjson::dom::array items;
  if (value.get(items) != simdjson::SUCCESS) return mismatch("a string or an array", value);
  if (items.size() == 0) return base::invalid("must not be empty");
  const Json first = items.at(0).value_unsafe();
  if (!first.is_string() && !first.is_array()) return read_token_ids(value, request.prompt_tokens);
  std::vector<Prompt> prompts;
  TRY(read_array(value, kPromptsMax,
                 [&prompts](Json item) { return read_listed_prompt(item, prompts.emplace_back()); }));
  request.prompt = prompts[0].text;
  request.prompt_tokens = prompts[0].tokens;
  if (prompts.size() > 1) d.call.prompts = std::move(prompts);
  return {};
}

/// OpenAI's bounds.
constexpr int kChoicesMax = 128;

constexpr Range kPenalty = {-2, 2};

constexpr Rule<Draft> kCommon[] = {
    {"model", [](Json v, Draft& d) { return text(v, 256, d.call.request.model); }},
    {"temperature",
     [](Json v, Draft& d) {
       return number(v, {0, 2}, d.call.request.sampling.temperature);
     }},
    {"top_p",
     [](Json v, Draft& d) {
       return number(v, {0, 1}, d.call.request.sampling.top_p);  // 0: the likeliest token
     }},
    {"top_k", [](Json v, Draft& d) { return integer(v, 0, kInt32Max, d.call.request.sampling.top_k); }},
    {"min_p",
     [](Json v, Draft& d) {
       return number(v, {0, 1}, d.call.request.sampling.min_p);
     }},
    {"frequency_penalty",
     [](Json v, Draft& d) { return number(v, kPenalty, d.call.request.sampling.frequency_penalty); }},
    {"presence_penalty",
     [](Json v, Draft& d) { return number(v, kPenalty, d.call.request.sampling.presence_penalty); }},
    {"seed", read_seed},
    {"logit_bias", read_logit_bias},
    {"max_tokens",
     [](Json v, Draft& d) {
       const bool chat = d.call.request.endpoint == llm::Endpoint::kChat;
       return integer(v, chat ? 1 : 0, kInt32Max, d.max_tokens);  // 0: the prompt is read, and that is all
     }},
    {"stop", read_stop},
    {"n", [](Json v, Draft& d) { return integer(v, 1, kChoicesMax, d.call.request.n); }},
    {"stream", [](Json v, Draft& d) { return flag(v, d.call.stream); }},
    {"stream_options", read_stream_options},
    {"permutation", [](Json v, Draft& d) { return parse_extension(v, d.engines, d.call.request); }},
};

/// Remembers the name of a field that asks for something, for supported.h to refuse.
template <const char* kName>
base::Status note_unsupported(Json value, Draft& d) {
  simdjson::dom::array items;
  simdjson::dom::object fields;
  std::string_view s;
  const bool asks_nothing = (value.get(items) == simdjson::SUCCESS && items.size() == 0) ||
                            (value.get(fields) == simdjson::SUCCESS && fields.size() == 0) ||
                            (value.get(s) == simdjson::SUCCESS && (s.empty() || s == "none"));
  if (!asks_nothing) d.call.unsupported.emplace_back(kName);
  return {};
}

/// A form may stand before the one that it would be the second to.
void keep_other(std::string_view key, Json value, Draft& d) {
  d.others.push_back({key, value});
}

/// What we ourselves act on must be right for any model.
bool leave_to_the_model(std::string_view key, const base::Error& error, Draft& d) {
  static constexpr std::string_view kOurs[] = {"model", "messages", "stream", "stream_options",
                                               "permutation"};
  if (std::find(std::begin(kOurs), std::end(kOurs), key) != std::end(kOurs)) return false;
  d.call.refusals.push_back(error);
  return true;
}

/// Which words there are, a model's chat template knows.
base::Status read_effort(Json value, Draft& d) {
  std::string& effort = d.call.request.thinking.effort;
  TRY(text(value, 32, effort));
  const bool is_word = !effort.empty() &&
                       std::ranges::all_of(effort, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
  return is_word ? base::Status() : base::invalid("must be a word, as none, low, medium and high are");
}

base::Status read_template_variables(Json value, Draft& d) {
  static constexpr std::string_view kOurs[] = {"messages", "tools", "bos_token", "eos_token",
                                               "add_generation_prompt"};
  simdjson::dom::object variables;
  if (value.get(variables) != simdjson::SUCCESS) return mismatch("an object", value);
  for (const auto variable : variables) {
    const std::string name(variable.key);
    if (std::ranges::find(kOurs, name) != std::end(kOurs)) {
      return below(name, base::invalid("is what the server itself tells the chat template: leave it out"));
    }
    bool thinks = false;
    const bool says = name == "enable_thinking" || name == "thinking";
    if (says && variable.value.get(thinks) == simdjson::SUCCESS) d.template_thinks = thinks;
  }
  d.call.request.thinking.template_variables = simdjson::minify(value);
  return {};
}

constexpr char kAudio[] = "audio";
constexpr char kFunctions[] = "functions";
constexpr char kFunctionCall[] = "function_call";
constexpr char kWebSearch[] = "web_search_options";

constexpr Rule<Draft> kChat[] = {
    {"messages", read_messages},
    {"max_completion_tokens",
     [](Json v, Draft& d) { return integer(v, 1, kInt32Max, d.max_completion_tokens); }},
    {"logprobs", [](Json v, Draft& d) { return flag(v, d.chat_logprobs); }},
    {"top_logprobs", [](Json v, Draft& d) { return integer(v, 0, 20, d.top_logprobs); }},
    {"tools", [](Json v, Draft& d) { return read_tools(v, d.call.request.tools); }},
    {"tool_choice", [](Json v, Draft& d) { return read_tool_choice(v, d.call.request.tool_choice); }},
    {"response_format",
     [](Json v, Draft& d) { return read_response_format(v, d.call.request.response_format); }},
    {"reasoning_effort", read_effort},
    {"chat_template_kwargs", read_template_variables},
    {kAudio, note_unsupported<kAudio>},
    {kFunctions, note_unsupported<kFunctions>},
    {kFunctionCall, note_unsupported<kFunctionCall>},
    {kWebSearch, note_unsupported<kWebSearch>},
};

constexpr Rule<Draft> kCompletions[] = {
    {"prompt", read_prompt},
    {"logprobs", [](Json v, Draft& d) { return integer(v, 0, 20, d.call.request.logprobs); }},
    {"echo", [](Json v, Draft& d) { return flag(v, d.call.request.echo); }},
    {"best_of", [](Json v, Draft& d) { return integer(v, 0, kChoicesMax, d.best_of); }},  // 0: not given
    {"suffix", [](Json v, Draft& d) { return text(v, kTextMax, d.call.request.suffix); }},
};

template <std::size_t kA, std::size_t kB>
constexpr std::array<Rule<Draft>, kA + kB> join(const Rule<Draft> (&a)[kA], const Rule<Draft> (&b)[kB]) {
  std::array<Rule<Draft>, kA + kB> out{};
  std::copy(a, a + kA, out.begin());
  std::copy(b, b + kB, out.begin() + kA);
  return out;
}

constexpr auto kChatRules = join(kCommon, kChat);
constexpr auto kCompletionsRules = join(kCommon, kCompletions);

base::Status check_required(const Draft& d) {
  const llm::Request& r = d.call.request;
  if (r.model.empty()) return below("model", base::invalid("is required: GET /v1/models lists them"));
  if (r.endpoint == llm::Endpoint::kChat && r.messages.empty()) {
    return below("messages", base::invalid("is required: send at least one message"));
  }
  const bool no_prompt = r.prompt.empty() && r.prompt_tokens.empty() && d.call.refusals.empty();
  if (r.endpoint == llm::Endpoint::kCompletions && (no_prompt || !d.prompt_given)) {
    return below("prompt", base::invalid(d.prompt_given ? "must not be empty" : "is required"));
  }
  return {};
}

void settle_logprobs(Draft& d) {
  if (d.chat_logprobs) d.call.request.logprobs = d.top_logprobs.value_or(0);
  if (d.top_logprobs && !d.chat_logprobs)
    d.call.refusals.push_back(below("top_logprobs", base::invalid("needs 'logprobs' to be true")));
}

base::Status check_choices(const Draft& d) {
  const int n = d.call.request.n;
  if (d.best_of.value_or(0) > 0 && *d.best_of < n) {
    return below("best_of",
                 base::invalid(fmt::format("must be at least 'n', which is {}, not {}", n, *d.best_of)));
  }
  if (d.call.best_of > n && d.call.stream) {
    return below("best_of",
                 base::invalid("can't be streamed above 'n': which are the best is known when all are "
                               "written. Leave out 'stream' or 'best_of'"));
  }
  const std::size_t prompts = std::max<std::size_t>(d.call.prompts.size(), 1);
  if (prompts * static_cast<std::size_t>(d.call.best_of) <= kAllChoicesMax) return {};
  return below("prompt", base::invalid(fmt::format(
                             "must come to at most {} choices in one request, not {} prompts of {} each",
                             kAllChoicesMax, prompts, d.call.best_of)));
}

void settle_choices(Draft& d) {
  d.call.best_of = std::max(d.call.request.n, d.best_of.value_or(0));
  if (base::Status checked = check_choices(d); !checked) d.call.refusals.push_back(checked.error());
}

void settle_max_tokens(Draft& d) {
  llm::Request& r = d.call.request;
  r.max_tokens = d.max_completion_tokens ? d.max_completion_tokens : d.max_tokens;
  d.call.max_tokens = r.max_tokens;
  if (!r.budget.tokens) return;
  const auto cap = static_cast<int>(std::min(*r.budget.tokens, kInt32Max));
  r.max_tokens = std::min(r.max_tokens.value_or(cap), cap);
}

void settle_thinking(Draft& d) {
  llm::ThinkingOptions& thinking = d.call.request.thinking;
  if (!thinking.effort.empty()) thinking.on = thinking.effort != "none";
  if (d.template_thinks) thinking.on = d.template_thinks;
}

base::Status read_call(Json root, Draft& d) {
  if (!root.is_object()) return base::invalid("The request's body must be a JSON object.");
  const bool chat = d.call.request.endpoint == llm::Endpoint::kChat;
  const std::span<const Rule<Draft>> rules =
      chat ? std::span<const Rule<Draft>>(kChatRules) : std::span<const Rule<Draft>>(kCompletionsRules);
  TRY(read_object<Draft>(root, rules, UnknownKeys::kIgnored, d, keep_other, leave_to_the_model));
  TRY(check_required(d));
  settle_logprobs(d);
  settle_choices(d);
  settle_max_tokens(d);
  settle_thinking(d);
  if (base::Status s = read_other_servers_fields(d.others, d.call.request); !s)
    d.call.refusals.push_back(s.error());
  return {};
}

}  // namespace

base::Result<CompletionCall> read_completion(llm::Endpoint endpoint, const std::string& body,
                                             EngineOptionsReaders engines) {
  TRY_ASSIGN(const Json root, parse_json(body, LongIntegers::kAsReals));
  Draft draft;
  draft.engines = engines;
  draft.call.request.endpoint = endpoint;
  if (base::Status s = read_call(root, draft); !s) return name_field(s.error());
  for (base::Error& refusal : draft.call.refusals) refusal = name_field(std::move(refusal));
  return std::move(draft.call);
}

base::Result<CompletionCall> parse_completion(llm::Endpoint endpoint, const std::string& body,
                                              EngineOptionsReaders engines) {
  auto call = read_completion(endpoint, body, engines);
  if (call && !call->refusals.empty()) return call->refusals.front();
  return call;
}

}  // namespace pmt::api
