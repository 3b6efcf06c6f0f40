#include "response_cache/store/canonical_key.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <concepts>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <simdjson.h>

#include "base/usage_counter.h"

namespace pmt::response_cache {
namespace {

// Written straight into bytes: a json tree of a small request costs more than its hash. Members must be
// written in sorted order; canonical_key_test compares with canonical_json of the same object.

void put(std::string& out, const std::string& text) {
  append_canonical_string(out, text);
}
void put(std::string& out, std::string_view text) {
  append_canonical_string(out, text);
}
void put(std::string& out, const char* text) {
  append_canonical_string(out, text);
}
void put(std::string& out, bool value) {
  out += value ? "true" : "false";
}
void put(std::string& out, double value) {
  append_canonical_number(out, value);
}
void put(std::string& out, float value) {
  append_canonical_number(out, value);
}
void put(std::string& out, const nlohmann::json& value) {
  append_canonical(out, value);
}

struct AskedMessage {
  const llm::Message& message;
  bool forwards;
};
struct AskedMessages {
  const std::vector<llm::Message>& messages;
  bool forwards;
};
/// Canonical JSON already.
struct Written {
  const std::string& text;
};

void put(std::string& out, const Written& written) {
  out += written.text;
}

// Declared before the templates that call them: argument-dependent lookup would not come here.
void put(std::string& out, llm::Endpoint endpoint);
void put(std::string& out, llm::KvMode mode);
void put(std::string& out, llm::Speculation speculation);
void put(std::string& out, const llm::KvOptions& kv);
void put(std::string& out, const llm::ThinkingOptions& thinking);
void put(std::string& out, const AskedMessage& message);
void put(std::string& out, const AskedMessages& messages);
void put(std::string& out, const llm::Tool& tool);
void put(std::string& out, const llm::ToolCall& call);
void put(std::string& out, const llm::Sampling& sampling);
void put(std::string& out, const std::map<std::int32_t, float>& logit_bias);

template <std::integral T>
void put(std::string& out, T value) {
  char buffer[24];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

template <class T>
void put(std::string& out, const std::vector<T>& items) {
  char separator = '[';
  for (const auto& item : items) {
    out += std::exchange(separator, ',');
    put(out, item);
  }
  out += items.empty() ? "[]" : "]";
}

template <class T>
void put(std::string& out, const std::optional<T>& value) {
  if (value) {
    put(out, *value);
  } else {
    out += "null";
  }
}

/// What was sent is a text here, its members' order part of it: models read it in that order.
void put(std::string& out, const llm::Tool& tool) {
  put(out, tool.sent);
}
void put(std::string& out, const llm::ToolCall& call) {
  put(out, call.sent);
}

/// Null where nothing was sent.
template <class T>
std::optional<T> if_any(const T& value) {
  return value.empty() ? std::nullopt : std::optional<T>(value);
}

class Object {
 public:
  explicit Object(std::string& out) : out_(out) { out_ += '{'; }
  /// `among`: members in the order of their names, each written where its name belongs among the others.
  Object(std::string& out, std::span<const llm::EngineKey> among) : Object(out) { among_ = among; }
  template <class T>
  Object& member(std::string_view name, const T& value) {
    for (; !among_.empty() && among_.front().engine < name; among_ = among_.subspan(1)) write_next();
    begin(name);
    put(out_, value);
    return *this;
  }
  void end() {
    for (; !among_.empty(); among_ = among_.subspan(1)) write_next();
    out_ += '}';
  }

 private:
  void write_next() {
    begin(among_.front().engine);
    put(out_, among_.front().taken);
  }
  void begin(std::string_view name) {
    if (!std::exchange(first_, false)) out_ += ',';
    out_ += '"';
    out_.append(name).append("\":");
  }

  std::string& out_;
  bool first_ = true;
  std::span<const llm::EngineKey> among_;
};

void put(std::string& out, llm::Endpoint endpoint) {
  put(out, endpoint == llm::Endpoint::kChat ? "chat" : "completions");
}

void put(std::string& out, llm::KvMode mode) {
  static constexpr const char* kNames[] = {"auto", "exact", "query_aware", "query_agnostic"};
  put(out, kNames[static_cast<int>(mode)]);
}

void put(std::string& out, llm::Speculation speculation) {
  static constexpr const char* kNames[] = {"auto", "off", "prompt_lookup"};
  put(out, kNames[static_cast<int>(speculation)]);
}

void put(std::string& out, const llm::KvOptions& kv) {
  Object object(out);
  if (kv.best_effort) object.member("best_effort", true);  // only then: keys from before it was known stay
  object.member("mode", kv.mode).member("ratio", kv.ratio).end();
}

void put(std::string& out, const llm::ThinkingOptions& thinking) {
  Object(out)
      .member("budget_tokens", thinking.budget_tokens)
      .member("effort", thinking.effort)
      .member("on", thinking.on)
      .member("template_variables", thinking.template_variables)
      .end();
}

void put(std::string& out, const AskedMessage& asked) {
  const llm::Message& message = asked.message;
  Object object(out);
  object.member("content", message.content);
  if (asked.forwards && !message.more.empty()) object.member("more", message.more);
  object.member("name", message.name);
  if (!message.reasoning.empty()) object.member("reasoning", message.reasoning);
  object.member("role", message.role)
      .member("tool_call_id", message.tool_call_id)
      .member("tool_calls", if_any(message.tool_calls))
      .end();
}

void put(std::string& out, const AskedMessages& asked) {
  out += '[';
  for (const llm::Message& message : asked.messages) {
    if (&message != asked.messages.data()) out += ',';
    put(out, AskedMessage{message, asked.forwards});
  }
  out += ']';
}

void put(std::string& out, const std::map<std::int32_t, float>& logit_bias) {
  std::vector<std::pair<std::string, float>> sorted;  // "10" comes before "9"
  sorted.reserve(logit_bias.size());
  for (const auto& [token, bias] : logit_bias) sorted.emplace_back(std::to_string(token), bias);
  std::sort(sorted.begin(), sorted.end());
  Object object(out);
  for (const auto& [token, bias] : sorted) object.member(token, bias);
  object.end();
}

void put(std::string& out, const llm::Sampling& sampling) {
  Object(out)
      .member("frequency_penalty", sampling.frequency_penalty)
      .member("logit_bias", sampling.logit_bias)
      .member("min_p", sampling.min_p)
      .member("presence_penalty", sampling.presence_penalty)
      .member("seed", sampling.seed)
      .member("temperature", sampling.temperature)
      .member("top_k", sampling.top_k)
      .member("top_p", sampling.top_p)
      .end();
}

/// See the header for why.
bool changes_no_answer(std::string_view name) {
  static constexpr std::array<std::string_view, 11> kNames = {"model",
                                                              "permutation",
                                                              "stream",
                                                              "stream_options",
                                                              "user",
                                                              "safety_identifier",
                                                              "metadata",
                                                              "store",
                                                              "service_tier",
                                                              "prompt_cache_key",
                                                              "prompt_cache_retention"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

/// Without white space outside of strings. `text` is JSON.
std::string minified(std::string_view text) {
  std::string out(text.size() + simdjson::SIMDJSON_PADDING, '\0');
  std::size_t length = 0;
  if (simdjson::minify(text.data(), text.size(), out.data(), length) != simdjson::SUCCESS)
    return std::string(text);
  out.resize(length);
  return out;
}

std::size_t text_bytes(const llm::Request& request) {
  std::size_t bytes = request.prompt.size() + request.prompt_tokens.size() * 7;
  for (const auto& message : request.messages) bytes += message.content.size() + 96;
  return bytes;
}

}  // namespace

namespace {

/// Of a repeated name the last one counts.
using WrittenMembers = std::map<std::string_view, std::string_view>;

std::string canonical_members(const WrittenMembers& written) {
  std::string out;
  for (const auto& [name, value] : written) {
    if (base::is_null(value)) continue;
    out += out.empty() ? '{' : ',';
    append_canonical_string(out, name);
    out += ':';
    append_canonical_string(out, minified(value));
  }
  return out.empty() ? out : out + '}';
}

}  // namespace

std::string canonical_sent(const llm::SentBody& sent) {
  WrittenMembers written;
  for (const llm::SentBody::Member& member : sent.members) {
    if (!member.held && !changes_no_answer(member.name)) written[member.name] = member.value;
  }
  return canonical_members(written);
}

std::string canonical_own(const llm::SentBody& sent) {
  if (!sent.own) return {};
  const std::vector<base::JsonMember> members = base::members_of(sent.own->text);
  WrittenMembers written;
  for (const base::JsonMember& member : members) {
    if (!changes_no_answer(member.name)) written[member.name] = member.value;
  }
  return canonical_members(written);
}

std::string canonical_request(const llm::Request& request, std::string_view resolved_model,
                              const nlohmann::json& versions, KeyOptions options) {
  const bool forwards = options.forwards && request.sent;
  const std::string sent = forwards ? canonical_sent(*request.sent) : "";
  const std::string own = forwards ? canonical_own(*request.sent) : "";
  std::string out;
  out.reserve(768 + text_bytes(request));
  // Only of engines that are asked for something, which is seldom: they add bytes to every key.
  const std::vector<llm::EngineKey> engines = request.options.keys();
  Object object(out, engines);
  object.member("echo", request.echo)
      .member("endpoint", request.endpoint)
      .member("knowledge", request.knowledge)
      .member("kv", request.kv)
      .member("logprobs", request.logprobs)
      .member("max_tokens", request.max_tokens)
      .member("messages", AskedMessages{request.messages, options.forwards})
      .member("model", resolved_model)
      .member("n", request.n)
      .member("namespace", request.cache.name_space);
  if (!request.other_options.empty()) object.member("options", request.other_options);
  if (!own.empty()) object.member("own", Written{own});
  object.member("prompt", request.prompt)
      .member("prompt_tokens", request.prompt_tokens)
      .member("response_format", if_any(request.response_format.sent))
      .member("sampling", request.sampling);
  if (!sent.empty()) object.member("sent", Written{sent});
  object
      .member("speculation",
              request.speculation)  // another order of arithmetic: near ties may fall otherwise
      .member("stop", request.stop);
  if (!request.suffix.empty()) object.member("suffix", request.suffix);
  object.member("surface", base::to_string(request.surface)).member("tenant", request.tenant);
  if (request.thinking != llm::ThinkingOptions()) object.member("thinking", request.thinking);
  object.member("tool_choice", if_any(request.tool_choice.sent))
      .member("tools", if_any(request.tools))
      .member("versions", versions)
      .end();
  return out;
}

Key request_key(const llm::Request& request, std::string_view resolved_model, const nlohmann::json& versions,
                KeyOptions options) {
  return base::sha256(canonical_request(request, resolved_model, versions, options));
}

}  // namespace pmt::response_cache
