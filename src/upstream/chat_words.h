// The body of a chat request, read by who says it in another API's words (messages/, responses/). All that it holds
// stays as it was written: schemas and arguments keep their members' order.
// Requires: the body was checked and is an object; views are into it, so it outlives them.
// Thread-safety: pure functions. Errors: kInvalidArgument with the member's path, where something is of no known form.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "upstream/foreign_json.h"

namespace pmt::upstream {

struct ChatPart {
  std::string type;
  Members members;
  std::string_view whole;
  std::string path;
};

struct ChatCall {
  std::string id, name, arguments;
};

struct ChatMessage {
  std::string role;
  Members members;
  std::string path;
  std::optional<std::string> text;  // a content that is a text
  std::vector<ChatPart> parts;      // one in parts
  std::vector<ChatCall> calls;
};

struct ChatTool {
  bool is_function = false;
  std::string name;
  Members function;  // its members
  Members members;   // of the tool
  std::string_view whole;
};

struct ChatChoice {
  enum class Kind { kUnset, kAuto, kNone, kRequired, kFunction, kOther };
  Kind kind = Kind::kUnset;
  std::string function;
  std::vector<std::string> allowed;  // not empty: kAuto or kRequired among these only
  std::string_view whole;
};

struct ChatForm {
  enum class Kind { kText, kObject, kSchema, kOther };
  Kind kind = Kind::kText;
  Members schema;  // of json_schema
};

struct ChatWords {
  Members members;
  std::vector<ChatMessage> messages;
  std::vector<ChatTool> tools;
  ChatChoice choice;
  ChatForm form;
  std::string_view value(std::string_view name) const { return base::value_of(members, name); }
};
base::Result<ChatWords> read_chat_words(std::string_view body);

/// Members that say nothing where they are left out, and that another API has no word for, are no loss.
bool says_nothing(std::string_view name, std::string_view value);

/// What a data: URL holds, for who wants it in parts.
struct DataUrl {
  std::string media_type, base64;
};
std::optional<DataUrl> data_url(std::string_view url);

/// kInvalidArgument at this path: the upstream's API (`api`: its name) has no word for it.
base::Error unsayable(std::string path, std::string_view what, std::string_view api);

/// An object or an array whose members or items are JSON text.
class ObjectText {
 public:
  void add(std::string_view name, std::string_view value) { add_member(members_, name, value); }
  void add_text(std::string_view name, std::string_view text) { add(name, base::json_quoted(text)); }
  /// As `from` has it; nothing where it says nothing.
  void copy(const Members& from, std::string_view name) { copy(from, name, name); }
  void copy(const Members& from, std::string_view name, std::string_view as);
  bool empty() const { return members_.empty(); }
  std::string text() const { return '{' + members_ + '}'; }

 private:
  std::string members_;
};

class ArrayText {
 public:
  void add(std::string_view item) { add_whole(items_, item); }
  bool empty() const { return items_.empty(); }
  std::string text() const { return '[' + items_ + ']'; }

 private:
  std::string items_;
};

/// What is asked of a server in its own API's words.
struct NativeBody {
  std::string text;
  std::vector<std::string> ignored;  // members that it has no words for
  /// Names it once.
  void ignore(std::string name);
};

}  // namespace pmt::upstream
