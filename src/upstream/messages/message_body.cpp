#include "upstream/messages/message_body.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/json.h"
#include "base/trimmed.h"

namespace pmt::upstream {
namespace {

using base::is_null;
using base::value_of;

constexpr std::string_view kMessagesApi = "Messages";

std::string text_block(std::string_view text, std::string_view cache_control) {
  ObjectText block;
  block.add("type", "\"text\"");
  block.add_text("text", text);
  if (!is_null(cache_control)) block.add("cache_control", cache_control);
  return block.text();
}

/// A block that holds other data: `source` by URL or by its bytes.
std::string source_block(std::string_view type, const std::string& url, const ChatPart& part) {
  ObjectText source, block;
  if (const auto data = data_url(url)) {
    source.add("type", "\"base64\"");
    source.add_text("media_type", data->media_type);
    source.add_text("data", data->base64);
  } else {
    source.add("type", "\"url\"");
    source.add_text("url", url);
  }
  block.add_text("type", type);
  block.add("source", source.text());
  if (type == "document") block.copy(members_at(part.members, "file"), "filename", "title");
  block.copy(part.members, "cache_control");
  return block.text();
}

/// A file by its bytes, which chat has as a data: URL or alone.
base::Result<std::string> file_block(const ChatPart& part) {
  constexpr std::string_view kPdf = "data:application/pdf;base64,";
  std::string data = text_of(members_at(part.members, "file"), "file_data");
  if (data.empty()) return unsayable(part.path, "a file that isn't sent with it", kMessagesApi);
  if (!data.starts_with("data:")) data.insert(0, kPdf);
  if (!data.starts_with(kPdf)) return unsayable(part.path, "a file other than a PDF", kMessagesApi);
  return source_block("document", data, part);
}

/// A part that is a block already goes on as it was written.
base::Result<std::string> block_of(const ChatPart& part) {
  static constexpr std::array<std::string_view, 4> kBlocks = {"image", "document", "search_result",
                                                              "container_upload"};
  const std::string_view cache_control = value_of(part.members, "cache_control");
  if (part.type == "text") return text_block(text_of(part.members, "text"), cache_control);
  if (part.type == "refusal") return text_block(text_of(part.members, "refusal"), cache_control);
  if (part.type == "file") return file_block(part);
  if (is_one_of(part.type, kBlocks)) return std::string(part.whole);
  if (part.type != "image_url")
    return unsayable(part.path + ".type", fmt::format("a part of type '{}'", part.type.substr(0, 64)),
                     kMessagesApi);
  const std::string_view image = value_of(part.members, "image_url");
  const std::string url =
      image.starts_with('{') ? text_of(base::members_of(image), "url") : text_of(part.members, "image_url");
  if (url.starts_with("data:") && !data_url(url))
    return unsayable(part.path, "an image that isn't in base64", kMessagesApi);
  return source_block("image", url, part);
}

/// The blocks of a content: none for one that is empty, since the API takes no empty text.
base::Status add_blocks(const ChatMessage& message, ArrayText& out) {
  const std::string_view marked = value_of(message.members, "cache_control");
  if (message.text && !message.text->empty()) out.add(text_block(*message.text, marked));
  for (const ChatPart& part : message.parts) {
    TRY_ASSIGN(const std::string block, block_of(part));
    out.add(block);
  }
  return {};
}

/// A content that is a plain text stays one.
base::Result<std::string> content_of(const ChatMessage& message) {
  const bool marked = !is_null(value_of(message.members, "cache_control"));
  if (message.parts.empty() && !(marked && message.text && !message.text->empty()))
    return base::json_quoted(message.text.value_or(""));
  ArrayText blocks;
  TRY(add_blocks(message, blocks));
  return blocks.text();
}

/// What the model wrote may be no object, as one that was cut.
std::string input_of(const ChatCall& call) {
  const std::string_view arguments = base::trimmed(call.arguments);
  if (arguments.empty()) return "{}";
  if (arguments.starts_with('{') && base::check_json(arguments)) return std::string(arguments);
  ObjectText input;
  input.add_text("arguments", call.arguments);
  return input.text();
}

class Writer {
 public:
  Writer(const ChatWords& words, NativeBody& out) : words_(words), out_(out) {}

  base::Status write_messages();
  std::string tools() const;
  std::string choice() const;
  const ArrayText& messages() const { return messages_; }
  const ArrayText& system() const { return system_; }

 private:
  base::Status add_system(const ChatMessage& message);
  base::Status add_assistant(const ChatMessage& message);
  base::Status add_result(const ChatMessage& message);
  void add(std::string_view role, std::string_view content);
  void end_results();
  bool is_allowed(const ChatTool& tool) const;

  const ChatWords& words_;
  NativeBody& out_;
  ArrayText system_, messages_;
  ArrayText results_;  // of the calls of one turn: one message has them all
};

void Writer::add(std::string_view role, std::string_view content) {
  ObjectText message;
  message.add_text("role", role);
  message.add("content", content);
  messages_.add(message.text());
}

void Writer::end_results() {
  if (results_.empty()) return;
  add("user", std::exchange(results_, {}).text());
}

/// Those before the conversation are its `system`; a later one stays where it is.
base::Status Writer::add_system(const ChatMessage& message) {
  if (messages_.empty()) return add_blocks(message, system_);
  TRY_ASSIGN(const std::string content, content_of(message));
  add("system", content);
  return {};
}

/// Thinking is taken back only as it was signed.
base::Status Writer::add_assistant(const ChatMessage& message) {
  ArrayText blocks;
  const auto thinking = items_at(message.members, "thinking_blocks");
  for (const std::string_view block : thinking) blocks.add(block);
  if (thinking.empty() && !is_null(value_of(message.members, "reasoning_content")))
    out_.ignore("messages[].reasoning_content");
  TRY(add_blocks(message, blocks));
  const std::string refusal = text_of(message.members, "refusal");
  if (!refusal.empty()) blocks.add(text_block(refusal, {}));
  for (const ChatCall& call : message.calls) {
    ObjectText block;
    block.add("type", "\"tool_use\"");
    block.add_text("id", call.id);
    block.add_text("name", call.name);
    block.add("input", input_of(call));
    blocks.add(block.text());
  }
  const bool plain = thinking.empty() && message.calls.empty() && refusal.empty();
  if (plain || blocks.empty()) {
    TRY_ASSIGN(const std::string content, content_of(message));
    add("assistant", content);
  } else {
    add("assistant", blocks.text());
  }
  return {};
}

base::Status Writer::add_result(const ChatMessage& message) {
  ObjectText block;
  block.add("type", "\"tool_result\"");
  block.add_text("tool_use_id", text_of(message.members, "tool_call_id"));
  ArrayText parts;
  if (message.parts.empty()) {
    block.add_text("content", message.text.value_or(""));
  } else {
    TRY(add_blocks(message, parts));
    block.add("content", parts.text());
  }
  block.copy(message.members, "cache_control");
  results_.add(block.text());
  return {};
}

base::Status Writer::write_messages() {
  for (const ChatMessage& message : words_.messages) {
    if (!is_null(value_of(message.members, "name"))) out_.ignore("messages[].name");
    if (message.role == "tool") {
      TRY(add_result(message));
      continue;
    }
    end_results();
    if (message.role == "system" || message.role == "developer") {
      TRY(add_system(message));
    } else if (message.role == "assistant") {
      TRY(add_assistant(message));
    } else if (message.role == "user") {
      TRY_ASSIGN(const std::string content, content_of(message));
      add("user", content);
    } else {
      return unsayable(message.path + ".role", fmt::format("the role '{}'", message.role.substr(0, 64)),
                       kMessagesApi);
    }
  }
  end_results();
  return {};
}

bool Writer::is_allowed(const ChatTool& tool) const {
  const auto& allowed = words_.choice.allowed;
  return allowed.empty() || std::find(allowed.begin(), allowed.end(), tool.name) != allowed.end();
}

/// A tool of another kind is one of the provider's own: it goes on as it was written.
std::string Writer::tools() const {
  ArrayText out;
  for (const ChatTool& tool : words_.tools) {
    if (!tool.is_function) {
      out.add(tool.whole);
      continue;
    }
    if (!is_allowed(tool)) continue;
    ObjectText one;
    one.add_text("name", tool.name);
    one.copy(tool.function, "description");
    const std::string_view schema = value_of(tool.function, "parameters");
    one.add("input_schema", is_null(schema) ? R"({"type":"object","properties":{}})" : schema);
    if (value_of(tool.function, "strict") == "true") one.add("strict", "true");
    const bool inside = is_null(value_of(tool.members, "cache_control"));
    one.copy(inside ? tool.function : tool.members, "cache_control");
    out.add(one.text());
  }
  return out.text();
}

/// "" where nothing needs to be said.
std::string Writer::choice() const {
  ObjectText out;
  switch (words_.choice.kind) {
    case ChatChoice::Kind::kUnset:
    case ChatChoice::Kind::kAuto:
      out.add("type", "\"auto\"");
      break;
    case ChatChoice::Kind::kRequired:
      out.add("type", "\"any\"");
      break;
    case ChatChoice::Kind::kNone:
      out.add("type", "\"none\"");
      return out.text();
    case ChatChoice::Kind::kFunction:
      out.add("type", "\"tool\"");
      out.add_text("name", words_.choice.function);
      break;
    case ChatChoice::Kind::kOther:
      return std::string(words_.choice.whole);
  }
  const bool one_call = words_.value("parallel_tool_calls") == "false";
  if (one_call) out.add("disable_parallel_tool_use", "true");
  return words_.choice.kind == ChatChoice::Kind::kUnset && !one_call ? "" : out.text();
}

/// Members of chat that are said above, or by other names.
bool is_said(std::string_view name) {
  static constexpr std::array<std::string_view, 17> kNames = {"model",
                                                              "messages",
                                                              "tools",
                                                              "tool_choice",
                                                              "parallel_tool_calls",
                                                              "response_format",
                                                              "max_tokens",
                                                              "max_completion_tokens",
                                                              "stop",
                                                              "stream",
                                                              "stream_options",
                                                              "reasoning_effort",
                                                              "user",
                                                              "safety_identifier",
                                                              "service_tier",
                                                              "n",
                                                              "permutation"};
  return is_one_of(name, kNames);
}

/// Members that the API has under the same name.
bool is_same(std::string_view name) {
  static constexpr std::array<std::string_view, 12> kNames = {
      "temperature",        "top_p",       "top_k",         "thinking",
      "cache_control",      "container",   "inference_geo", "speed",
      "context_management", "mcp_servers", "diagnostics",   "output_config"};
  return is_one_of(name, kNames);
}

void add_stops(const ChatWords& words, ObjectText& body) {
  const std::string_view stop = words.value("stop");
  if (says_nothing("stop", stop)) return;
  body.add("stop_sequences", stop.starts_with('"') ? fmt::format("[{}]", stop) : std::string(stop));
}

/// How much to think, in the words of the models that decide it themselves.
void add_effort(const ChatWords& words, ObjectText& body, ObjectText& config) {
  const std::string effort = text_of(words.members, "reasoning_effort");
  if (effort.empty()) return;
  const bool says_itself = !is_null(words.value("thinking"));
  if (effort == "none") {
    if (!says_itself) body.add("thinking", R"({"type":"disabled"})");
    return;
  }
  if (!says_itself) body.add("thinking", R"({"type":"adaptive"})");
  config.add_text("effort", effort == "minimal" ? "low" : effort);
}

void add_form(const ChatWords& words, ObjectText& config, NativeBody& out) {
  const std::string_view schema = value_of(words.form.schema, "schema");
  if (words.form.kind == ChatForm::Kind::kText) return;
  if (words.form.kind != ChatForm::Kind::kSchema || is_null(schema)) return out.ignore("response_format");
  config.add("format", fmt::format(R"({{"type":"json_schema","schema":{}}})", schema));
}

void add_who(const ChatWords& words, ObjectText& body) {
  const std::string_view safety = words.value("safety_identifier");
  const std::string_view who = is_null(safety) ? words.value("user") : safety;
  if (!is_null(who)) body.add("metadata", fmt::format(R"({{"user_id":{}}})", who));
}

void add_tier(const ChatWords& words, ObjectText& body, NativeBody& out) {
  const std::string tier = text_of(words.members, "service_tier");
  if (tier == "auto" || tier == "standard_only") {
    body.add_text("service_tier", tier);
  } else if (tier == "default") {
    body.add("service_tier", "\"standard_only\"");
  } else if (!tier.empty()) {
    out.ignore("service_tier");
  }
}

/// The API wants a limit with each request.
void add_limit(const ChatWords& words, const RemoteOptions& options, ObjectText& body) {
  const std::string_view limit = words.value("max_completion_tokens");
  const std::string_view other = words.value("max_tokens");
  if (is_null(limit) && is_null(other))
    return body.add("max_tokens", std::to_string(options.max_tokens_unset));
  body.add("max_tokens", is_null(limit) ? other : limit);
}

}  // namespace

base::Result<NativeBody> message_body(std::string_view chat, const RemoteOptions& options, bool stream) {
  TRY_ASSIGN(const ChatWords words, read_chat_words(chat));
  if (!says_nothing("n", words.value("n"))) return unsayable("n", "more than one answer", kMessagesApi);
  NativeBody out;
  Writer writer(words, out);
  TRY(writer.write_messages());
  ObjectText body, config;
  body.add_text("model", options.model);
  add_limit(words, options, body);
  if (!writer.system().empty()) body.add("system", writer.system().text());
  body.add("messages", writer.messages().text());
  if (const std::string tools = writer.tools(); tools != "[]") {
    body.add("tools", tools);
    if (const std::string choice = writer.choice(); !choice.empty()) body.add("tool_choice", choice);
  }
  add_stops(words, body);
  add_effort(words, body, config);
  add_form(words, config, out);
  add_who(words, body);
  add_tier(words, body, out);
  const bool has_config = !is_null(words.value("output_config"));
  if (!config.empty() && !has_config) body.add("output_config", config.text());
  for (const base::JsonMember& member : words.members) {
    if (is_same(member.name)) {
      if (!is_null(member.value)) body.add(member.name, member.value);
    } else if (!is_said(member.name) && !says_nothing(member.name, member.value)) {
      out.ignore(member.name);
    }
  }
  if (stream) body.add("stream", "true");
  out.text = body.text();
  return out;
}

}  // namespace pmt::upstream
