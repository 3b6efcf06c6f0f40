#include "upstream/chat_words.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace pmt::upstream {
namespace {

using base::is_null;
using base::value_of;

base::Status read_content(ChatMessage& message) {
  const std::string_view content = value_of(message.members, "content");
  if (is_null(content)) return {};
  const std::string path = message.path + ".content";
  if (content.starts_with('"')) {
    message.text = base::json_string(content).value_or("");
    return {};
  }
  if (!content.starts_with('[')) return base::invalid("must be a text or parts", path);
  for (const std::string_view item : base::items_of(content)) {
    ChatPart part{
        .type = {}, .members = {}, .whole = item, .path = fmt::format("{}[{}]", path, message.parts.size())};
    if (!item.starts_with('{')) return base::invalid("must be an object", part.path);
    part.members = base::members_of(item);
    part.type = text_of(part.members, "type");
    message.parts.push_back(std::move(part));
  }
  return {};
}

base::Status read_calls(ChatMessage& message) {
  for (const std::string_view item : items_at(message.members, "tool_calls")) {
    const std::string path = fmt::format("{}.tool_calls[{}]", message.path, message.calls.size());
    if (!item.starts_with('{')) return base::invalid("must be an object", path);
    const Members call = base::members_of(item);
    const Members function = members_at(call, "function");
    if (text_of(function, "name").empty())
      return base::invalid("must call a function, by its name: this upstream knows no other tools", path);
    std::string arguments(value_of(function, "arguments"));
    if (arguments.starts_with('"')) arguments = text_of(function, "arguments");
    message.calls.push_back(
        {.id = text_of(call, "id"), .name = text_of(function, "name"), .arguments = std::move(arguments)});
  }
  return {};
}

base::Result<ChatMessage> read_message(std::string_view item, std::size_t index) {
  ChatMessage message{.role = {},
                      .members = {},
                      .path = fmt::format("messages[{}]", index),
                      .text = {},
                      .parts = {},
                      .calls = {}};
  if (!item.starts_with('{')) return base::invalid("must be an object", message.path);
  message.members = base::members_of(item);
  message.role = text_of(message.members, "role");
  TRY(read_content(message));
  TRY(read_calls(message));
  return message;
}

base::Result<ChatTool> read_tool(std::string_view item, std::size_t index) {
  if (!item.starts_with('{')) return base::invalid("must be an object", fmt::format("tools[{}]", index));
  ChatTool tool{.name = {}, .function = {}, .members = base::members_of(item), .whole = item};
  const std::string type = text_of(tool.members, "type");
  tool.is_function = type == "function" || (type.empty() && !is_null(value_of(tool.members, "function")));
  if (!tool.is_function) return tool;
  tool.function = members_at(tool.members, "function");
  tool.name = text_of(tool.function, "name");
  if (tool.name.empty()) return base::invalid("is required", fmt::format("tools[{}].function.name", index));
  return tool;
}

ChatChoice::Kind kind_of(std::string_view word) {
  if (word == "auto") return ChatChoice::Kind::kAuto;
  if (word == "none") return ChatChoice::Kind::kNone;
  return word == "required" || word == "any" ? ChatChoice::Kind::kRequired : ChatChoice::Kind::kOther;
}

ChatChoice read_choice(std::string_view value) {
  ChatChoice choice{.function = {}, .allowed = {}, .whole = value};
  if (is_null(value)) return choice;
  if (!value.starts_with('{')) {
    choice.kind = kind_of(base::json_string(value).value_or(""));
    return choice;
  }
  const Members members = base::members_of(value);
  const std::string type = text_of(members, "type");
  choice.kind = ChatChoice::Kind::kOther;
  if (type == "function") {
    choice.function = text_of(members_at(members, "function"), "name");
    if (!choice.function.empty()) choice.kind = ChatChoice::Kind::kFunction;
  } else if (type == "allowed_tools") {
    const Members allowed = members_at(members, "allowed_tools");
    for (const std::string_view tool : items_at(allowed, "tools")) {
      if (tool.starts_with('{'))
        choice.allowed.push_back(text_of(members_at(base::members_of(tool), "function"), "name"));
    }
    const std::string mode = text_of(allowed, "mode");
    if (!choice.allowed.empty()) choice.kind = kind_of(mode.empty() ? "auto" : mode);
  }
  return choice;
}

ChatForm read_form(std::string_view value) {
  if (is_null(value)) return {};
  const Members members = value.starts_with('{') ? base::members_of(value) : Members();
  const std::string type = text_of(members, "type");
  if (type == "text") return {};
  if (type == "json_object") return {.kind = ChatForm::Kind::kObject, .schema = {}};
  if (type != "json_schema") return {.kind = ChatForm::Kind::kOther, .schema = {}};
  return {.kind = ChatForm::Kind::kSchema, .schema = members_at(members, "json_schema")};
}

}  // namespace

base::Result<ChatWords> read_chat_words(std::string_view body) {
  ChatWords words{.members = base::members_of(body), .messages = {}, .tools = {}, .choice = {}, .form = {}};
  for (const std::string_view item : items_at(words.members, "messages")) {
    TRY_ASSIGN(ChatMessage message, read_message(item, words.messages.size()));
    words.messages.push_back(std::move(message));
  }
  for (const std::string_view item : items_at(words.members, "tools")) {
    TRY_ASSIGN(ChatTool tool, read_tool(item, words.tools.size()));
    words.tools.push_back(std::move(tool));
  }
  words.choice = read_choice(words.value("tool_choice"));
  words.form = read_form(words.value("response_format"));
  return words;
}

bool says_nothing(std::string_view name, std::string_view value) {
  if (is_null(value) || value == "[]" || value == "{}" || value == "\"\"") return true;
  static constexpr std::array<std::string_view, 5> kZeroIsOff = {"frequency_penalty", "presence_penalty",
                                                                 "min_p", "top_logprobs", "top_k"};
  static constexpr std::array<std::string_view, 3> kFalseIsOff = {"logprobs", "store", "echo"};
  const auto among = [name](const auto& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (among(kZeroIsOff)) return value == "0" || value == "0.0" || value == "-0";
  if (among(kFalseIsOff)) return value == "false";
  return name == "n" && value == "1";
}

std::optional<DataUrl> data_url(std::string_view url) {
  constexpr std::string_view kScheme = "data:", kBase64 = ";base64";
  if (!url.starts_with(kScheme)) return std::nullopt;
  const std::size_t comma = url.find(',');
  if (comma == std::string_view::npos) return std::nullopt;
  const std::string_view head = url.substr(kScheme.size(), comma - kScheme.size());
  if (!head.ends_with(kBase64)) return std::nullopt;
  return DataUrl{.media_type = std::string(head.substr(0, head.find(';'))),
                 .base64 = std::string(url.substr(comma + 1))};
}

base::Error unsayable(std::string path, std::string_view what, std::string_view api) {
  return base::invalid(fmt::format("'{}': {} can't be said to an upstream that speaks {}", path, what, api),
                       path);
}

void ObjectText::copy(const Members& from, std::string_view name, std::string_view as) {
  const std::string_view value = value_of(from, name);
  if (!is_null(value)) add(as, value);
}

void NativeBody::ignore(std::string name) {
  if (std::find(ignored.begin(), ignored.end(), name) == ignored.end()) ignored.push_back(std::move(name));
}

}  // namespace pmt::upstream
