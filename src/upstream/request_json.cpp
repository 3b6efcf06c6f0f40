#include "upstream/request_json.h"

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "upstream/body_edit.h"
#include "upstream/messages/message_body.h"
#include "upstream/responses/response_body.h"

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

/// 0.7F as 0.7, not as the double next to it.
std::string number(float value) {
  return fmt::format("{}", value);
}

/// Calls `set(name, JSON text)` for what differs from `usual`.
template <class Set>
void write_sampling(const llm::Sampling& s, const llm::Sampling& usual, Set&& set) {
  if (s.temperature != usual.temperature) set("temperature", number(s.temperature));
  if (s.top_p != usual.top_p) set("top_p", number(s.top_p));
  if (s.top_k != usual.top_k) set("top_k", std::to_string(s.top_k));
  if (s.min_p != usual.min_p) set("min_p", number(s.min_p));
  if (s.frequency_penalty != usual.frequency_penalty) set("frequency_penalty", number(s.frequency_penalty));
  if (s.presence_penalty != usual.presence_penalty) set("presence_penalty", number(s.presence_penalty));
  if (s.seed && s.seed != usual.seed) set("seed", std::to_string(*s.seed));
  if (s.logit_bias == usual.logit_bias) return;
  std::string bias;
  for (const auto& [token, value] : s.logit_bias)
    bias += fmt::format("{}\"{}\":{}", bias.empty() ? '{' : ',', token, number(value));
  set("logit_bias", bias.empty() ? "{}" : bias + '}');
}

template <class Set>
void write_logprobs(const llm::Request& r, Set&& set) {
  if (r.endpoint != llm::Endpoint::kChat) return set("logprobs", std::to_string(*r.logprobs));
  set("logprobs", "true");
  if (*r.logprobs > 0) set("top_logprobs", std::to_string(*r.logprobs));
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
  if (r.echo) out["echo"] = true;
  if (!r.suffix.empty()) out["suffix"] = r.suffix;
}

std::string composed_body(const llm::Request& r, const RemoteOptions& options, bool stream) {
  json out = {{"model", options.model}};
  const bool chat = r.endpoint == llm::Endpoint::kChat;
  if (!chat) add_text(out, r);
  if (r.max_tokens)
    out[options.max_completion_tokens ? "max_completion_tokens" : "max_tokens"] = *r.max_tokens;
  if (!r.stop.empty()) out["stop"] = r.stop;
  if (r.n != 1) out["n"] = r.n;
  if (stream) {
    out["stream"] = true;
    out["stream_options"] = {{"include_usage", true}};
  }
  std::string body = written(out);
  const auto add = [&body](const char* name, const std::string& value) { add_sent(body, name, value); };
  write_sampling(r.sampling, {}, add);
  if (r.logprobs) write_logprobs(r, add);
  if (chat) add_chat_texts(body, r);
  return body;
}

/// What the caller calls its limit: a server that knows the one name may refuse the other.
void set_limit(BodyEdit& body, const llm::Request& r, const RemoteOptions& options) {
  constexpr const char* kOld = "max_tokens";
  constexpr const char* kNew = "max_completion_tokens";
  const bool changed = r.max_tokens != r.sent->max_tokens;
  const bool named_new = !base::is_null(body.value(kNew));
  const bool rename = options.max_completion_tokens && !named_new && !base::is_null(body.value(kOld));
  if (!changed && !rename) return;
  const std::string limit =
      changed ? std::to_string(r.max_tokens.value_or(0)) : std::string(body.value(kOld));
  if (changed || rename) body.remove(options.max_completion_tokens || named_new ? kOld : kNew);
  if (changed && !r.max_tokens) return body.remove(kNew);
  body.set(options.max_completion_tokens || named_new ? kNew : kOld, limit);
}

/// Usage comes with every stream: what it cost is counted here, too.
void set_stream(BodyEdit& body, bool stream) {
  if (!stream) {
    if (body.value("stream") != "true") return;  // as the caller wrote it
    body.remove("stream");
    return body.remove("stream_options");
  }
  if (body.value("stream") != "true") body.set("stream", "true");
  const std::string_view options = body.value("stream_options");
  if (!options.starts_with('{')) return body.set("stream_options", "{\"include_usage\":true}");
  const auto members = base::members_of(options);
  BodyEdit inner(options, members);
  if (inner.value("include_usage") == "true") return;
  inner.set("include_usage", "true");
  body.set("stream_options", inner.text());
}

std::string forwarded_body(const llm::Request& r, const RemoteOptions& options, bool stream) {
  const llm::SentBody& sent = *r.sent;
  BodyEdit body(sent.text, sent.members);
  const auto set = [&body](const char* name, std::string value) { body.set(name, std::move(value)); };
  body.set("model", base::json_quoted(options.model));
  body.remove("permutation");
  set_stream(body, stream);
  set_limit(body, r, options);
  write_sampling(r.sampling, sent.sampling, set);
  if (r.n != sent.n) body.set("n", std::to_string(r.n));
  if (r.logprobs && r.logprobs != sent.logprobs) write_logprobs(r, set);
  return body.text();
}

/// Whether an engine wants it otherwise than its caller wrote it.
bool is_changed(const llm::Request& r) {
  const llm::SentBody& sent = *r.sent;
  return r.sampling != sent.sampling || r.max_tokens != sent.max_tokens || r.logprobs != sent.logprobs ||
         r.n != sent.n;
}

/// In the caller's own words. What an earlier response stands for was put into the input already.
std::string own_body(std::string_view text, const RemoteOptions& options, bool stream) {
  const auto members = base::members_of(text);
  BodyEdit body(text, members);
  body.set("model", base::json_quoted(options.model));
  for (const char* ours : {"permutation", "background", "previous_response_id"}) body.remove(ours);
  if (stream) {
    if (body.value("stream") != "true") body.set("stream", "true");
  } else if (body.value("stream") == "true") {
    body.remove("stream");
    body.remove("stream_options");
  }
  return body.text();
}

base::Result<NativeBody> native_body(const llm::Request& r, const RemoteOptions& options, bool stream) {
  const bool own = r.sent && r.sent->own && r.sent->own->api == options.api && !is_changed(r);
  if (own) return NativeBody{.text = own_body(r.sent->own->text, options, stream), .ignored = {}};
  const std::string chat = request_body(r, options, false);
  return options.api == llm::Api::kMessages ? message_body(chat, options, stream)
                                            : response_body(chat, options, stream);
}

}  // namespace

base::Result<WrittenRequest> write_request(const llm::Request& r, const RemoteOptions& options, bool stream) {
  const bool chat = r.endpoint == llm::Endpoint::kChat;
  if (options.api == llm::Api::kChat)
    return WrittenRequest{.target = chat ? "/chat/completions" : "/completions",
                          .body = request_body(r, options, stream),
                          .ignored = {}};
  const bool messages = options.api == llm::Api::kMessages;
  if (!chat) return base::invalid("its API has no text completions: ask it by chat", "prompt");
  TRY_ASSIGN(NativeBody body, native_body(r, options, stream));
  return WrittenRequest{.target = messages ? "/messages" : "/responses",
                        .body = std::move(body.text),
                        .ignored = std::move(body.ignored)};
}

std::string request_body(const llm::Request& r, const RemoteOptions& options, bool stream) {
  return r.sent ? forwarded_body(r, options, stream) : composed_body(r, options, stream);
}

}  // namespace pmt::upstream
