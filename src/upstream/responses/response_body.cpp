#include "upstream/responses/response_body.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace pmt::upstream {
namespace {

using base::is_null;
using base::value_of;

constexpr std::string_view kResponsesApi = "Responses";

/// A part that is one of this API's goes on as it was written.
base::Result<std::string> part_of(const ChatPart& part, std::string_view role, NativeBody& body) {
  static constexpr std::array<std::string_view, 5> kParts = {"input_text", "input_image", "input_file",
                                                             "output_text", "refusal"};
  if (is_one_of(part.type, kParts)) return std::string(part.whole);
  if (!is_null(value_of(part.members, "cache_control"))) body.ignore("cache_control");
  ObjectText out;
  if (part.type == "text") {
    out.add("type", role == "assistant" ? "\"output_text\"" : "\"input_text\"");
    out.add_text("text", text_of(part.members, "text"));
  } else if (part.type == "image_url") {
    const Members image = members_at(part.members, "image_url");
    const std::string url = image.empty() ? text_of(part.members, "image_url") : text_of(image, "url");
    const std::string detail = text_of(image, "detail");
    out.add("type", "\"input_image\"");
    out.add_text("image_url", url);
    out.add_text("detail", detail.empty() ? "auto" : detail);
  } else if (part.type == "file") {
    const Members file = members_at(part.members, "file");
    out.add("type", "\"input_file\"");
    for (const char* name : {"filename", "file_data", "file_id"}) out.copy(file, name);
  } else {
    return unsayable(part.path + ".type", fmt::format("a part of type '{}'", part.type.substr(0, 64)),
                     kResponsesApi);
  }
  return out.text();
}

/// A content that is a plain text stays one.
base::Result<std::string> content_of(const ChatMessage& message, NativeBody& body) {
  if (!is_null(value_of(message.members, "cache_control"))) body.ignore("cache_control");
  if (message.parts.empty()) return base::json_quoted(message.text.value_or(""));
  ArrayText parts;
  for (const ChatPart& part : message.parts) {
    TRY_ASSIGN(const std::string text, part_of(part, message.role, body));
    parts.add(text);
  }
  return parts.text();
}

std::string call_item(const ChatCall& call) {
  ObjectText item;
  item.add("type", "\"function_call\"");
  item.add_text("call_id", call.id);
  item.add_text("name", call.name);
  item.add_text("arguments", call.arguments);
  return item.text();
}

/// What it thought goes back only as it was encrypted, before what it said.
base::Status add_assistant(const ChatMessage& message, ArrayText& items, NativeBody& body) {
  const auto reasoning = items_at(message.members, "reasoning_items");
  for (const std::string_view item : reasoning) items.add(item);
  if (reasoning.empty() && !is_null(value_of(message.members, "reasoning_content")))
    body.ignore("messages[].reasoning_content");
  const bool says = !message.parts.empty() || (message.text && !message.text->empty());
  const std::string refusal = text_of(message.members, "refusal");
  if (says || (message.calls.empty() && refusal.empty())) {
    TRY_ASSIGN(const std::string content, content_of(message, body));
    items.add(fmt::format(R"({{"role":"assistant","content":{}}})", content));
  }
  if (!refusal.empty()) {
    items.add(fmt::format(R"({{"role":"assistant","content":[{{"type":"refusal","refusal":{}}}]}})",
                          base::json_quoted(refusal)));
  }
  for (const ChatCall& call : message.calls) items.add(call_item(call));
  return {};
}

base::Status add_message(const ChatMessage& message, ArrayText& items, NativeBody& body) {
  static constexpr std::array<std::string_view, 3> kRoles = {"user", "system", "developer"};
  if (!is_null(value_of(message.members, "name"))) body.ignore("messages[].name");
  if (message.role == "assistant") return add_assistant(message, items, body);
  if (message.role != "tool" && !is_one_of(message.role, kRoles))
    return unsayable(message.path + ".role", fmt::format("the role '{}'", message.role.substr(0, 64)),
                     kResponsesApi);
  TRY_ASSIGN(const std::string content, content_of(message, body));
  ObjectText item;
  if (message.role == "tool") {
    item.add("type", "\"function_call_output\"");
    item.add_text("call_id", text_of(message.members, "tool_call_id"));
    item.add("output", content);
  } else {
    item.add_text("role", message.role);
    item.add("content", content);
  }
  items.add(item.text());
  return {};
}

/// A tool of another kind is one of the provider's own: it goes on as it was written. `strict` is said always, since
/// what it means where it isn't differs from chat's.
std::string tools_of(const ChatWords& words, NativeBody& body) {
  ArrayText out;
  for (const ChatTool& tool : words.tools) {
    if (!tool.is_function) {
      out.add(tool.whole);
      continue;
    }
    if (!is_null(value_of(tool.members, "cache_control")) ||
        !is_null(value_of(tool.function, "cache_control")))
      body.ignore("cache_control");
    ObjectText one;
    one.add("type", "\"function\"");
    one.add_text("name", tool.name);
    one.copy(tool.function, "description");
    const std::string_view schema = value_of(tool.function, "parameters");
    one.add("parameters", is_null(schema) ? R"({"type":"object","properties":{}})" : schema);
    one.add("strict", value_of(tool.function, "strict") == "true" ? "true" : "false");
    out.add(one.text());
  }
  return out.text();
}

std::string function_named(std::string_view name) {
  return fmt::format(R"({{"type":"function","name":{}}})", base::json_quoted(name));
}

std::string choice_of(const ChatChoice& choice) {
  const char* const word = choice.kind == ChatChoice::Kind::kNone       ? "none"
                           : choice.kind == ChatChoice::Kind::kRequired ? "required"
                                                                        : "auto";
  if (choice.kind == ChatChoice::Kind::kUnset) return {};
  if (choice.kind == ChatChoice::Kind::kOther) return std::string(choice.whole);
  if (choice.kind == ChatChoice::Kind::kFunction) return function_named(choice.function);
  if (choice.allowed.empty()) return base::json_quoted(word);
  ArrayText tools;
  for (const std::string& name : choice.allowed) tools.add(function_named(name));
  ObjectText out;
  out.add("type", "\"allowed_tools\"");
  out.add_text("mode", word);
  out.add("tools", tools.text());
  return out.text();
}

void add_form(const ChatWords& words, ObjectText& text, NativeBody& body) {
  ObjectText format;
  switch (words.form.kind) {
    case ChatForm::Kind::kText:
      return;
    case ChatForm::Kind::kOther:
      return body.ignore("response_format");
    case ChatForm::Kind::kObject:
      format.add("type", "\"json_object\"");
      break;
    case ChatForm::Kind::kSchema:
      format.add("type", "\"json_schema\"");
      for (const char* name : {"name", "description", "schema"}) format.copy(words.form.schema, name);
      format.add("strict", value_of(words.form.schema, "strict") == "true" ? "true" : "false");
      break;
  }
  text.add("format", format.text());
}

/// Encrypted, it can be sent back; models that don't think refuse to be asked for it.
bool wants_reasoning(const ChatWords& words) {
  if (!is_null(words.value("reasoning_effort")) || !is_null(words.value("reasoning"))) return true;
  return std::any_of(words.messages.begin(), words.messages.end(), [](const ChatMessage& message) {
    return !is_null(value_of(message.members, "reasoning_items"));
  });
}

void add_reasoning(const ChatWords& words, ObjectText& body) {
  const std::string_view reasoning = words.value("reasoning"), effort = words.value("reasoning_effort");
  if (!is_null(reasoning)) return body.add("reasoning", reasoning);
  if (!is_null(effort)) body.add("reasoning", fmt::format(R"({{"effort":{}}})", effort));
}

void add_include(const ChatWords& words, ObjectText& body) {
  if (!is_null(words.value("include"))) return body.add("include", words.value("include"));
  ArrayText include;
  if (words.value("logprobs") == "true") include.add("\"message.output_text.logprobs\"");
  if (wants_reasoning(words)) include.add("\"reasoning.encrypted_content\"");
  if (!include.empty()) body.add("include", include.text());
}

/// Members of chat that are said above, or by other names.
bool is_said(std::string_view name) {
  static constexpr std::array<std::string_view, 18> kNames = {"model",
                                                              "messages",
                                                              "tools",
                                                              "tool_choice",
                                                              "response_format",
                                                              "verbosity",
                                                              "max_tokens",
                                                              "max_completion_tokens",
                                                              "logprobs",
                                                              "stream",
                                                              "stream_options",
                                                              "reasoning_effort",
                                                              "reasoning",
                                                              "include",
                                                              "store",
                                                              "n",
                                                              "text",
                                                              "permutation"};
  return is_one_of(name, kNames);
}

/// Members that the API has under the same name.
bool is_same(std::string_view name) {
  static constexpr std::array<std::string_view, 14> kNames = {"temperature",
                                                              "top_p",
                                                              "top_logprobs",
                                                              "parallel_tool_calls",
                                                              "metadata",
                                                              "user",
                                                              "safety_identifier",
                                                              "service_tier",
                                                              "prompt_cache_key",
                                                              "prompt_cache_retention",
                                                              "prompt_cache_options",
                                                              "truncation",
                                                              "max_tool_calls",
                                                              "context_management"};
  return is_one_of(name, kNames);
}

void add_same(const ChatWords& words, ObjectText& body, NativeBody& out) {
  for (const base::JsonMember& member : words.members) {
    if (is_same(member.name)) {
      if (!is_null(member.value)) body.add(member.name, member.value);
    } else if (!is_said(member.name) && !says_nothing(member.name, member.value)) {
      out.ignore(member.name);
    }
  }
}

}  // namespace

base::Result<NativeBody> response_body(std::string_view chat, const RemoteOptions& options, bool stream) {
  TRY_ASSIGN(const ChatWords words, read_chat_words(chat));
  if (!says_nothing("n", words.value("n"))) return unsayable("n", "more than one answer", kResponsesApi);
  NativeBody out;
  ArrayText items;
  for (const ChatMessage& message : words.messages) TRY(add_message(message, items, out));
  ObjectText body, text;
  body.add_text("model", options.model);
  body.add("input", items.text());
  const std::string_view limit = words.value("max_completion_tokens");
  const std::string_view either = is_null(limit) ? words.value("max_tokens") : limit;
  if (!is_null(either)) body.add("max_output_tokens", either);
  if (const std::string tools = tools_of(words, out); tools != "[]") body.add("tools", tools);
  if (const std::string choice = choice_of(words.choice); !choice.empty()) body.add("tool_choice", choice);
  add_form(words, text, out);
  if (const std::string_view verbosity = words.value("verbosity"); !is_null(verbosity))
    text.add("verbosity", verbosity);
  if (!text.empty()) body.add("text", text.text());
  add_reasoning(words, body);
  add_include(words, body);
  body.add("store", words.value("store") == "true" ? "true" : "false");
  add_same(words, body, out);
  if (stream) body.add("stream", "true");
  out.text = body.text();
  return out;
}

}  // namespace pmt::upstream
