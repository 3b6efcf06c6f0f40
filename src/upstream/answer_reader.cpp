#include "upstream/answer_reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "upstream/upstream_error.h"

namespace pmt::upstream {
namespace {

using nlohmann::json;

constexpr int kChoicesMax = 128;
constexpr std::size_t kToolCallsMax = 128;

base::Error garbage(std::string what) {
  return {base::Code::kBadGateway, "its answer is not OpenAI's: " + std::move(what)};
}

/// The member, or null: absent and null mean the same everywhere here.
const json& at(const json& object, const char* key) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

std::string text_at(const json& object, const char* key) {
  const json& value = at(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

/// Content is a string, or an array of parts of which those with text count.
base::Result<std::string> read_content(const json& content) {
  if (content.is_null()) return std::string();
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) return garbage("a content that is neither text nor parts");
  std::string text;
  for (const json& part : content) text += text_at(part, "text");
  return text;
}

float number_or(const json& value, float otherwise) {
  return value.is_number() ? value.get<float>() : otherwise;
}

std::string token_bytes(const json& item) {
  const json& bytes = at(item, "bytes");
  if (!bytes.is_array()) return text_at(item, "token");
  std::string out;
  for (const json& byte : bytes) {
    if (byte.is_number_integer()) out.push_back(static_cast<char>(byte.get<int>()));
  }
  return out;
}

void read_chat_logprobs(const json& logprobs, std::vector<llm::TokenLogprob>& out) {
  const json& content = at(logprobs, "content");
  if (!content.is_array()) return;
  for (const json& item : content) {
    llm::TokenLogprob token{
        .token = token_bytes(item), .logprob = number_or(at(item, "logprob"), 0), .top = {}};
    if (const json& top = at(item, "top_logprobs"); top.is_array()) {
      for (const json& other : top)
        token.top.emplace_back(token_bytes(other), number_or(at(other, "logprob"), 0));
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
    if (!tokens[i].is_string()) continue;
    llm::TokenLogprob token{
        .token = tokens[i].get<std::string>(), .logprob = number_or(values[i], 0), .top = {}};
    if (tops.is_array() && i < tops.size() && tops[i].is_object()) {
      for (const auto& [text, value] : tops[i].items()) token.top.emplace_back(text, number_or(value, 0));
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
  const json body = json::parse(payload, nullptr, false);
  if (!body.is_object()) return garbage("a chunk that is no JSON object");
  return take(body, "delta", out);
}

base::Status AnswerReader::whole(std::string_view text, std::vector<llm::Event>& out) {
  const json body = json::parse(text, nullptr, false);
  if (!body.is_object()) return garbage("a body that is no JSON object");
  TRY(take(body, "message", out));
  return finish(out);
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
  const json& created = at(body, "created");
  out.emplace_back(llm::Started{
      .model = about_.model,
      .created_unix_s = created.is_number_integer() ? created.get<std::int64_t>() : about_.now_unix_s,
      .cache = {}});
}

base::Status AnswerReader::take_choice(const json& choice, const char* message_member,
                                       std::vector<llm::Event>& out) {
  const json& index = at(choice, "index");
  if (!choice.is_object() || !(index.is_null() || index.is_number_unsigned())) return garbage("a choice");
  const auto number = index.is_null() ? 0 : index.get<std::uint64_t>();
  if (number >= kChoicesMax) return garbage("a choice's index");
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
    out.emplace_back(llm::ChoiceEnd{.choice = which, .reason = *reason, .tool_calls = state.tool_calls});
  }
  return {};
}

/// Streamed calls come in pieces, told apart by their index: the arguments are joined. Whole ones come once.
base::Status AnswerReader::take_tool_calls(const json& calls, Choice& choice) {
  if (calls.is_null()) return {};
  if (!calls.is_array()) return garbage("tool_calls");
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const json& piece = calls[i];
    const json& index = at(piece, "index");
    const std::size_t place = index.is_number_unsigned() ? index.get<std::size_t>() : i;
    if (!piece.is_object() || place >= kToolCallsMax) return garbage("a tool call");
    if (choice.tool_calls.is_null()) choice.tool_calls = json::array();
    while (choice.tool_calls.size() <= place) {
      choice.tool_calls.push_back(
          {{"id", ""}, {"type", "function"}, {"function", {{"name", ""}, {"arguments", ""}}}});
    }
    json& call = choice.tool_calls[place];
    if (const std::string id = text_at(piece, "id"); !id.empty()) call["id"] = id;
    const json& function = at(piece, "function");
    if (const std::string name = text_at(function, "name"); !name.empty()) call["function"]["name"] = name;
    const std::string more = text_at(function, "arguments");
    call["function"]["arguments"].get_ref<std::string&>() += more;
  }
  return {};
}

void AnswerReader::take_usage(const json& usage) {
  if (!usage.is_object()) return;
  const auto count = [&usage](const char* key) -> std::int64_t {
    const json& value = at(usage, key);
    return value.is_number_integer() ? std::max<std::int64_t>(0, value.get<std::int64_t>()) : 0;
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
