#include "upstream/request_json.h"

#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

namespace pmt::upstream {
namespace {

using nlohmann::json;

std::string written(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// JSON texts as an array.
template <class Items>
std::string array_of_sent(const Items& items) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "[" : ",") + item.sent;
  return out + "]";
}

/// Adds a member whose value is JSON text already. Requires: `object` is an object with members.
void add_sent(std::string& object, std::string_view name, std::string_view value) {
  object.pop_back();
  object.append(",\"").append(name).append("\":").append(value).append("}");
}

std::string message_text(const llm::Message& message) {
  json out = {{"role", message.role}};
  const bool calls = !message.tool_calls.empty();
  out["content"] = calls && message.content.empty() ? json() : json(message.content);
  if (!message.name.empty()) out["name"] = message.name;
  if (!message.tool_call_id.empty()) out["tool_call_id"] = message.tool_call_id;
  std::string text = written(out);
  if (calls) add_sent(text, "tool_calls", array_of_sent(message.tool_calls));
  return text;
}

void add_sampling(json& out, const llm::Sampling& s) {
  const llm::Sampling usual;
  if (s.temperature != usual.temperature) out["temperature"] = s.temperature;
  if (s.top_p != usual.top_p) out["top_p"] = s.top_p;
  if (s.top_k != usual.top_k) out["top_k"] = s.top_k;
  if (s.min_p != usual.min_p) out["min_p"] = s.min_p;
  if (s.frequency_penalty != usual.frequency_penalty) out["frequency_penalty"] = s.frequency_penalty;
  if (s.presence_penalty != usual.presence_penalty) out["presence_penalty"] = s.presence_penalty;
  if (s.seed) out["seed"] = *s.seed;
  for (const auto& [token, bias] : s.logit_bias) out["logit_bias"][std::to_string(token)] = bias;
}

void add_chat(json& out, const llm::Request& r) {
  if (!r.logprobs) return;
  out["logprobs"] = true;
  if (*r.logprobs > 0) out["top_logprobs"] = *r.logprobs;
}

/// What the caller wrote goes on as the caller wrote it.
void add_chat_texts(std::string& body, const llm::Request& r) {
  std::string messages;
  for (const llm::Message& message : r.messages)
    messages += (messages.empty() ? "[" : ",") + message_text(message);
  add_sent(body, "messages", (messages.empty() ? "[" : messages) + "]");
  if (!r.tools.empty()) add_sent(body, "tools", array_of_sent(r.tools));
  if (!r.tool_choice.sent.empty()) add_sent(body, "tool_choice", r.tool_choice.sent);
  if (!r.response_format.sent.empty()) add_sent(body, "response_format", r.response_format.sent);
}

void add_text(json& out, const llm::Request& r) {
  out["prompt"] = r.prompt_tokens.empty() ? json(r.prompt) : json(r.prompt_tokens);
  if (r.logprobs) out["logprobs"] = *r.logprobs;
  if (r.echo) out["echo"] = true;
  if (!r.suffix.empty()) out["suffix"] = r.suffix;
}

}  // namespace

std::string request_body(const llm::Request& r, const RemoteOptions& options, bool stream) {
  json out = r.extra.is_object() ? r.extra : json::object();
  out["model"] = options.model;
  if (r.endpoint == llm::Endpoint::kChat) {
    add_chat(out, r);
  } else {
    add_text(out, r);
  }
  add_sampling(out, r.sampling);
  if (r.max_tokens)
    out[options.max_completion_tokens ? "max_completion_tokens" : "max_tokens"] = *r.max_tokens;
  if (!r.stop.empty()) out["stop"] = r.stop;
  if (r.n != 1) out["n"] = r.n;
  if (stream) {
    out["stream"] = true;
    out["stream_options"] = {{"include_usage", true}};
  }
  std::string body = written(out);
  if (r.endpoint == llm::Endpoint::kChat) add_chat_texts(body, r);
  return body;
}

}  // namespace pmt::upstream
