#include "upstream/answer_reader.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/json.h"
#include "upstream/upstream_error.h"

namespace pmt::upstream {
namespace {

using base::at;
using base::text_at;
using nlohmann::json;

constexpr int kChoicesMax = 128;
constexpr std::int64_t kUnixMaxS = std::int64_t{1} << 40;  // some 30,000 years
constexpr std::int64_t kTokensMax = 1'000'000'000'000;     // sums of some of them fit
constexpr std::int64_t kToolCallsMax = 128;

base::Error garbage(std::string what) {
  return {base::Code::kBadGateway, "its answer is not OpenAI's: " + std::move(what)};
}

/// Its own text, for a part that must be an object.
base::Result<json> read_object(std::string_view text, const char* what) {
  auto body = base::parse_json(text);
  if (!body) return garbage(fmt::format("{} that is {}", what, body.error().message));
  if (!body->is_object()) return garbage(fmt::format("{} that is no JSON object", what));
  return body;
}

/// Content is a string, or an array of parts of which those with text count.
base::Result<std::string> read_content(const json& content) {
  if (content.is_null()) return std::string();
  if (auto text = base::as_text(content)) return std::move(*text);
  if (!content.is_array()) return garbage("a content that is neither text nor parts");
  std::string text;
  for (const json& part : content) text += text_at(part, "text");
  return text;
}

/// A log-probability; 0 for what is none.
float logprob_of(const json& value) {
  constexpr double kMax = std::numeric_limits<float>::max();
  return static_cast<float>(std::clamp(base::as_number(value).value_or(0), -kMax, kMax));
}

std::string token_bytes(const json& item) {
  const json& bytes = at(item, "bytes");
  if (!bytes.is_array()) return text_at(item, "token");
  std::string out;
  for (const json& byte : bytes) {
    if (const auto code = base::as_integer(byte)) out.push_back(static_cast<char>(*code));
  }
  return out;
}

void read_chat_logprobs(const json& logprobs, std::vector<llm::TokenLogprob>& out) {
  const json& content = at(logprobs, "content");
  if (!content.is_array()) return;
  for (const json& item : content) {
    llm::TokenLogprob token{
        .token = token_bytes(item), .logprob = logprob_of(at(item, "logprob")), .top = {}};
    if (const json& top = at(item, "top_logprobs"); top.is_array()) {
      for (const json& other : top)
        token.top.emplace_back(token_bytes(other), logprob_of(at(other, "logprob")));
    }
    out.push_back(std::move(token));
  }
}

void read_text_logprobs(const json& logprobs, std::vector<llm::TokenLogprob>& out) {
  const json& tokens = at(logprobs, "tokens");
  const json& values = at(logprobs, "token_logprobs");
  const json& tops = at(logprobs, "top_logprobs");
  if (!tokens.is_array() || !values.is_array()) return;
  for (std::size_t i = 0; i < std::min(tokens.size(), values.size()); ++i) {
    auto text = base::as_text(tokens[i]);
    if (!text) continue;
    llm::TokenLogprob token{.token = std::move(*text), .logprob = {}, .top = {}};
    if (!values[i].is_null()) token.logprob = logprob_of(values[i]);
    if (tops.is_array() && i < tops.size() && tops[i].is_object()) {
      for (const auto& [other, value] : tops[i].items()) token.top.emplace_back(other, logprob_of(value));
      std::sort(token.top.begin(), token.top.end(),
                [](const auto& a, const auto& b) { return a.second > b.second; });
    }
    out.push_back(std::move(token));
  }
}

std::optional<llm::FinishReason> finish_reason(const std::string& name) {
  if (name.empty()) return std::nullopt;
  if (name == "length") return llm::FinishReason::kLength;
  if (name == "tool_calls" || name == "function_call") return llm::FinishReason::kToolCalls;
  if (name == "content_filter") return llm::FinishReason::kContentFilter;
  return llm::FinishReason::kStop;  // "stop", and other servers' "eos", "end_turn"
}

/// Members that the answer which we write has anyway.
bool is_ours(const std::string& name) {
  static constexpr std::array kNames = {
      "id",      "object", "created",     "model",       "system_fingerprint",
      "choices", "usage",  "permutation", "service_tier"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

}  // namespace

base::Status AnswerReader::chunk(std::string_view payload, std::vector<llm::Event>& out) {
  if (done_) return {};
  if (payload == "[DONE]") return finish(out);
  TRY_ASSIGN(const json body, read_object(payload, "a chunk"));
  return take(body, "delta", out);
}

base::Status AnswerReader::whole(std::string_view text, std::vector<llm::Event>& out) {
  TRY_ASSIGN(const json body, read_object(text, "a body"));
  TRY(take(body, "message", out));
  return finish(out);
}

json AnswerReader::calls_json(const std::vector<ToolCall>& calls) {
  json out;  // null: there is none
  for (const ToolCall& call : calls) {
    out.push_back({{"id", call.id},
                   {"type", "function"},
                   {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  }
  return out;
}

base::Status AnswerReader::take(const json& body, const char* message_member, std::vector<llm::Event>& out) {
  if (const json& error = at(body, "error"); !error.is_null()) return stream_error(error);
  const json& choices = at(body, "choices");
  if (!choices.is_array()) return garbage("no choices");
  start(body, out);
  for (const json& choice : choices) TRY(take_choice(choice, message_member, out));
  take_usage(at(body, "usage"));
  for (const auto& [name, value] : body.items()) {
    if (!is_ours(name) && !value.is_null()) extra_[name] = value;
  }
  return {};
}

void AnswerReader::start(const json& body, std::vector<llm::Event>& out) {
  if (std::exchange(started_, true)) return;
  const auto created = base::integer_at(body, "created");
  const bool can_be = created && *created >= 0 && *created <= kUnixMaxS;
  out.emplace_back(llm::Started{
      .model = about_.model, .created_unix_s = can_be ? *created : about_.now_unix_s, .cache = {}});
}

base::Status AnswerReader::take_choice(const json& choice, const char* message_member,
                                       std::vector<llm::Event>& out) {
  if (!choice.is_object()) return garbage("a choice");
  const json& index = at(choice, "index");
  const auto number = index.is_null() ? 0 : base::as_integer(index).value_or(-1);
  if (number < 0 || number >= kChoicesMax) return garbage("a choice's index");
  llm::Delta delta{.choice = static_cast<int>(number), .text = {}, .logprobs = {}};
  Choice& state = choices_[delta.choice];
  if (state.ended) return {};
  if (about_.endpoint == llm::Endpoint::kChat) {
    const json& message = at(choice, message_member);
    TRY_ASSIGN(delta.text, read_content(at(message, "content")));
    if (delta.text.empty()) delta.text = text_at(message, "refusal");
    read_chat_logprobs(at(choice, "logprobs"), delta.logprobs);
    TRY(take_tool_calls(at(message, "tool_calls"), state));
  } else {
    delta.text = text_at(choice, "text");
    read_text_logprobs(at(choice, "logprobs"), delta.logprobs);
  }
  const int which = delta.choice;
  if (!delta.text.empty() || !delta.logprobs.empty()) out.emplace_back(std::move(delta));
  if (const auto reason = finish_reason(text_at(choice, "finish_reason"))) {
    state.ended = true;
    out.emplace_back(
        llm::ChoiceEnd{.choice = which, .reason = *reason, .tool_calls = calls_json(state.calls)});
  }
  return {};
}

/// Streamed calls come in pieces, told apart by their index: the arguments are joined. Whole ones come once.
base::Status AnswerReader::take_tool_calls(const json& calls, Choice& choice) {
  if (calls.is_null()) return {};
  if (!calls.is_array()) return garbage("tool_calls");
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const json& piece = calls[i];
    const auto index = base::integer_at(piece, "index").value_or(static_cast<std::int64_t>(i));
    if (!piece.is_object() || index < 0 || index >= kToolCallsMax) return garbage("a tool call");
    const auto place = static_cast<std::size_t>(index);
    if (choice.calls.size() <= place) choice.calls.resize(place + 1);
    ToolCall& call = choice.calls[place];
    if (std::string id = text_at(piece, "id"); !id.empty()) call.id = std::move(id);
    const json& function = at(piece, "function");
    if (std::string name = text_at(function, "name"); !name.empty()) call.name = std::move(name);
    call.arguments += text_at(function, "arguments");
  }
  return {};
}

void AnswerReader::take_usage(const json& usage) {
  if (!usage.is_object()) return;
  const auto count = [&usage](const char* key) -> std::int64_t {
    return std::clamp<std::int64_t>(base::integer_at(usage, key).value_or(0), 0, kTokensMax);
  };
  usage_ = {.prompt_tokens = count("prompt_tokens"), .completion_tokens = count("completion_tokens")};
  for (const auto& [name, value] : usage.items()) {
    if (name != "prompt_tokens" && name != "completion_tokens" && name != "total_tokens" && !value.is_null())
      usage_.details[name] = value;
  }
}

base::Status AnswerReader::finish(std::vector<llm::Event>& out) {
  if (done_) return {};
  const bool all_ended =
      std::all_of(choices_.begin(), choices_.end(), [](const auto& entry) { return entry.second.ended; });
  if (!started_ || choices_.empty() || !all_ended) {
    return base::Error{base::Code::kBadGateway, "its answer broke off before its end"};
  }
  done_ = true;
  out.emplace_back(llm::Done{.usage = std::move(usage_), .report = {}, .extra = std::move(extra_)});
  return {};
}

}  // namespace pmt::upstream
