#include "upstream/request_json.h"

#include <utility>

#include <nlohmann/json.hpp>

namespace pmt::upstream {
namespace {

using nlohmann::json;

json message_json(const llm::Message& message) {
  json out = {{"role", message.role}};
  const bool calls = !message.tool_calls.is_null();
  out["content"] = calls && message.content.empty() ? json() : json(message.content);
  if (!message.name.empty()) out["name"] = message.name;
  if (calls) out["tool_calls"] = message.tool_calls;
  if (!message.tool_call_id.empty()) out["tool_call_id"] = message.tool_call_id;
  return out;
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
  json messages = json::array();
  for (const llm::Message& message : r.messages) messages.push_back(message_json(message));
  out["messages"] = std::move(messages);
  if (r.logprobs) {
    out["logprobs"] = true;
    if (*r.logprobs > 0) out["top_logprobs"] = *r.logprobs;
  }
  if (!r.tools.is_null()) out["tools"] = r.tools;
  if (!r.tool_choice.is_null()) out["tool_choice"] = r.tool_choice;
  if (!r.response_format.is_null()) out["response_format"] = r.response_format;
}

void add_text(json& out, const llm::Request& r) {
  out["prompt"] = r.prompt_tokens.empty() ? json(r.prompt) : json(r.prompt_tokens);
  if (r.logprobs) out["logprobs"] = *r.logprobs;
  if (r.echo) out["echo"] = true;
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
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace pmt::upstream
