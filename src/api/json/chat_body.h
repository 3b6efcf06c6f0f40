// Another API's request, put into the words of POST /v1/chat/completions: so one reader (parse.h) makes every
// llm::Request, a question is the same question whichever API asks it, and an upstream gets it as chat.
// What is wrong with it, or not followed, is told in chat's words; FieldNames says them in the caller's.
// Thread-safety: none. Cost: one pass over the text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"

namespace pmt::api {

/// Paths of the chat request -> paths of the request that the caller sent.
class FieldNames {
 public:
  void add(std::string chat, std::string own) { own_.insert_or_assign(std::move(chat), std::move(own)); }
  /// The error under the caller's path, the message's quotation of it too. What lies below a known path keeps
  /// the rest of its own.
  base::Error own_words(base::Error error) const;
  /// A path under the caller's; what is under none that is known stays as it is.
  std::string own_of(const std::string& chat) const;

 private:
  std::unordered_map<std::string, std::string> own_;
};

struct ChatPart {
  std::string text = {};  // of a text part
  std::string json = {};  // of any other: the whole part; "": it is text
  std::string own = {};   // its path
};

struct ChatCall {
  std::string id, name;
  std::string arguments;  // JSON text
  std::string own, own_arguments;
};

struct ChatMessage {
  std::string role;
  std::string own;  // its path
  std::vector<ChatPart> parts = {};
  std::string reasoning = {};
  std::vector<ChatCall> calls = {};
  std::string tool_call_id = {}, own_tool_call_id = {};
};

class ChatBody {
 public:
  std::vector<ChatMessage> messages;

  /// A member whose value is JSON text, and the caller's path of it.
  void add(std::string_view name, std::string_view json, std::string own);
  /// Below a member that was added: for values that stand elsewhere in the caller's request.
  void name(std::string chat, std::string own) { names_.add(std::move(chat), std::move(own)); }

  /// The request's body. Requires: called once, at the end. Names the messages.
  std::string text();
  FieldNames take_names() { return std::move(names_); }

 private:
  void append_message(std::size_t index, const ChatMessage& message);
  void append_content(const std::string& path, const ChatMessage& message);
  void append_calls(const std::string& path, const ChatMessage& message);

  std::string out_;  // the object's members so far
  FieldNames names_;
};

}  // namespace pmt::api
