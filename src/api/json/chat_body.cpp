#include "api/json/chat_body.h"

#include <fmt/format.h>

#include "api/json/json_writer.h"

namespace pmt::api {

std::string FieldNames::own_of(const std::string& chat) const {
  for (std::size_t end = chat.size(); end != std::string::npos && end > 0;
       end = chat.find_last_of(".[", end - 1)) {
    const auto known = own_.find(chat.substr(0, end));
    if (known != own_.end()) return known->second + chat.substr(end);
  }
  return chat;
}

base::Error FieldNames::own_words(base::Error error) const {
  std::string own = own_of(error.field);
  if (own == error.field) return error;
  const std::string quoted = "'" + error.field + "'";
  if (const auto at = error.message.find(quoted); at != std::string::npos)
    error.message.replace(at, quoted.size(), "'" + own + "'");
  error.field = std::move(own);
  return error;
}

void ChatBody::add(std::string_view name, std::string_view json, std::string own) {
  out_ += out_.empty() ? '{' : ',';
  append_string(out_, name);
  out_ += ':';
  out_ += json;
  if (own != name) names_.add(std::string(name), std::move(own));
}

/// One text is written as such, as most callers of chat write it: it is the same question.
void ChatBody::append_content(const std::string& path, const ChatMessage& message) {
  const std::vector<ChatPart>& parts = message.parts;
  if (parts.empty()) {
    out_ += message.calls.empty() ? "\"\"" : "null";
    return;
  }
  const std::string content = path + ".content";
  if (parts.size() == 1 && parts[0].json.empty()) {
    append_string(out_, parts[0].text);
    names_.add(content, parts[0].own);
    return;
  }
  out_ += '[';
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out_ += ',';
    names_.add(fmt::format("{}[{}]", content, i), parts[i].own);
    if (!parts[i].json.empty()) {
      out_ += parts[i].json;
      continue;
    }
    out_ += R"({"type":"text","text":)";
    append_string(out_, parts[i].text);
    out_ += '}';
  }
  out_ += ']';
}

void ChatBody::append_calls(const std::string& path, const ChatMessage& message) {
  for (std::size_t i = 0; i < message.calls.size(); ++i) {
    const ChatCall& call = message.calls[i];
    out_ += i == 0 ? '[' : ',';
    ObjectWriter w(out_);
    w.string("id", call.id);
    w.string("type", "function");
    ObjectWriter function(w.member("function"));
    function.string("name", call.name);
    function.string("arguments", call.arguments);
    function.end();
    w.end();
    const std::string chat = fmt::format("{}.tool_calls[{}]", path, i);
    names_.add(chat, call.own);
    names_.add(chat + ".function", call.own);
    names_.add(chat + ".function.arguments", call.own_arguments);
  }
  out_ += ']';
}

void ChatBody::append_message(std::size_t index, const ChatMessage& message) {
  const std::string path = fmt::format("messages[{}]", index);
  names_.add(path, message.own);
  ObjectWriter w(out_);
  w.string("role", message.role);
  w.member("content");
  append_content(path, message);
  if (!message.reasoning.empty()) w.string("reasoning_content", message.reasoning);
  if (!message.calls.empty()) {
    w.member("tool_calls");
    append_calls(path, message);
  }
  if (message.role == "tool") {
    w.string("tool_call_id", message.tool_call_id);
    names_.add(path + ".tool_call_id", message.own_tool_call_id);
  }
  w.end();
}

std::string ChatBody::text() {
  out_ += out_.empty() ? "{\"messages\":[" : ",\"messages\":[";
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (i > 0) out_ += ',';
    append_message(i, messages[i]);
  }
  out_ += "]}";
  return std::move(out_);
}

}  // namespace pmt::api
