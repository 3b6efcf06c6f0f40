#include "api/responses/response_items.h"

#include <fmt/format.h>

#include "api/json/fields.h"
#include "api/json/json_writer.h"
#include "api/responses/response_parts.h"

namespace pmt::api {

/// What any of the known items has.
struct ResponseItemsReader::Item {
  std::string own = {};
  std::string id = {}, status = {}, role = {}, call_id = {}, name = {}, arguments = {}, encrypted = {};
  ResponseParts parts = {};    // content, or a call's output
  ResponseParts summary = {};  // of reasoning
  bool has_content = false;
};

namespace {

using Item = ResponseItemsReader::Item;

base::Status passed_over(Json, Item&) {
  return {};
}
base::Status read_id(Json value, Item& item) {
  return text(value, kNameBytesMax, item.id);
}
base::Status read_status(Json value, Item& item) {
  return one_of<std::string>(
      value, {{"in_progress", "in_progress"}, {"completed", "completed"}, {"incomplete", "incomplete"}},
      item.status);
}
base::Status read_call_id(Json value, Item& item) {
  return text(value, kNameBytesMax, item.call_id);
}
base::Status read_name(Json value, Item& item) {
  return text(value, kNameBytesMax, item.name);
}
base::Status read_content(Json value, Item& item) {
  item.has_content = true;
  return read_response_parts(value, item.own + ".content",
                             item.role == "assistant" ? "output_text" : "input_text", item.parts);
}

constexpr Rule<Item> kMessage[] = {
    {"type", passed_over}, {"id", read_id},        {"status", read_status},
    {"role", passed_over}, {"phase", passed_over}, {"content", read_content},
};
constexpr Rule<Item> kCall[] = {
    {"type", passed_over},
    {"id", read_id},
    {"status", read_status},
    {"call_id", read_call_id},
    {"name", read_name},
    {"arguments", [](Json v, Item& item) { return text(v, kTextMax, item.arguments); }},
    {"parsed_arguments", passed_over},  // the official client's own, sent back with its items
    {"caller", passed_over},
    {"namespace", passed_over},
    {"async", passed_over},
    {"async_", passed_over},  // its name for it
};
constexpr Rule<Item> kOutput[] = {
    {"type", passed_over},
    {"id", read_id},
    {"status", read_status},
    {"call_id", read_call_id},
    {"name", passed_over},
    {"caller", passed_over},
    {"namespace", passed_over},
    {"output",
     [](Json v, Item& item) {
       item.has_content = true;
       return read_response_parts(v, item.own + ".output", "input_text", item.parts);
     }},
};
constexpr Rule<Item> kReasoning[] = {
    {"type", passed_over},
    {"id", read_id},
    {"status", read_status},
    {"summary",
     [](Json v, Item& item) {
       return read_response_parts(v, item.own + ".summary", "summary_text", item.summary);
     }},
    {"content",
     [](Json v, Item& item) {
       return read_response_parts(v, item.own + ".content", "reasoning_text", item.parts);
     }},
    {"encrypted_content", [](Json v, Item& item) { return text(v, kTextMax, item.encrypted); }},
};

base::Status required(bool given, std::string_view name, std::string_view type) {
  if (given) return {};
  return below(name, base::invalid(fmt::format("is required in an item of type \"{}\"", type)));
}

base::Status read_role(Json value, std::string& role) {
  Json found;
  if (value["role"].get(found) != simdjson::SUCCESS) return below("role", base::invalid("is required"));
  const base::Status read = one_of<std::string>(
      found, {{"user", "user"}, {"assistant", "assistant"}, {"system", "system"}, {"developer", "developer"}},
      role);
  if (!read) return below("role", read.error());
  return {};
}

const char* id_prefix(std::string_view type) {
  if (type == "function_call") return "fc_";
  if (type == "function_call_output") return "fco_";
  return type == "reasoning" ? "rs_" : "msg_";
}

std::string kept_form(const std::string& type, const Item& item) {
  std::string out;
  ObjectWriter w(out);
  w.string("id", item.id);
  w.string("type", type);
  if (type == "message") {
    w.string("role", item.role);
    w.member("content") += item.parts.kept_array();
  } else if (type == "reasoning") {
    w.member("summary") += item.summary.kept_array();
    if (!item.parts.parts.empty()) w.member("content") += item.parts.kept_array();
    if (!item.encrypted.empty()) w.string("encrypted_content", item.encrypted);
  } else {
    w.string("call_id", item.call_id);
    if (type == "function_call") {
      w.string("name", item.name);
      w.string("arguments", item.arguments);
    } else {
      w.member("output") += item.parts.as_text ? item.parts.kept_text() : item.parts.kept_array();
    }
  }
  w.string("status", item.status.empty() ? "completed" : item.status);
  w.end();
  return out;
}

}  // namespace

base::Result<std::string> response_item_type(Json item) {
  if (!item.is_object()) return mismatch("an object", item);
  Json type;
  if (item["type"].get(type) != simdjson::SUCCESS || type.is_null()) {
    const bool refers = item["role"].error() != simdjson::SUCCESS && item["id"].error() == simdjson::SUCCESS;
    return std::string(refers ? "item_reference" : "message");
  }
  std::string out;
  const base::Status read = one_of<std::string>(type,
                                                {{"message", "message"},
                                                 {"function_call", "function_call"},
                                                 {"function_call_output", "function_call_output"},
                                                 {"reasoning", "reasoning"},
                                                 {"item_reference", "item_reference"}},
                                                out);
  if (!read) return below("type", read.error());
  return out;
}

/// The message that an assistant's text, calls and reasoning of one turn are in: the last, or a new one.
ChatMessage& ResponseItemsReader::assistant(const std::string& own) {
  if (open_ == 0 || open_ != out_.size() || !reasoning_.empty()) {
    out_.push_back({.role = "assistant", .own = own, .reasoning = std::exchange(reasoning_, {})});
    open_ = out_.size();
  }
  return out_.back();
}

base::Status ResponseItemsReader::read_message(Json value, Item& item) {
  TRY(read_role(value, item.role));
  TRY(read_object<Item>(value, kMessage, UnknownKeys::kRefused, item));
  TRY(required(item.has_content, "content", "message"));
  ChatMessage message{.role = item.role, .own = item.own, .parts = item.parts.parts};
  const bool spoken = item.role == "assistant";
  if (spoken) message.reasoning = std::exchange(reasoning_, {});
  out_.push_back(std::move(message));
  open_ = spoken ? out_.size() : 0;
  return {};
}

base::Status ResponseItemsReader::read_call(Json value, Item& item) {
  TRY(read_object<Item>(value, kCall, UnknownKeys::kRefused, item));
  TRY(required(!item.call_id.empty(), "call_id", "function_call"));
  TRY(required(!item.name.empty(), "name", "function_call"));
  TRY(required(value["arguments"].error() == simdjson::SUCCESS, "arguments", "function_call"));
  assistant(item.own).calls.push_back({.id = item.call_id,
                                       .name = item.name,
                                       .arguments = item.arguments,
                                       .own = item.own,
                                       .own_arguments = item.own + ".arguments"});
  return {};
}

base::Status ResponseItemsReader::read_output(Json value, Item& item) {
  TRY(read_object<Item>(value, kOutput, UnknownKeys::kRefused, item));
  TRY(required(!item.call_id.empty(), "call_id", "function_call_output"));
  TRY(required(item.has_content, "output", "function_call_output"));
  out_.push_back({.role = "tool",
                  .own = item.own,
                  .parts = item.parts.parts,
                  .tool_call_id = item.call_id,
                  .own_tool_call_id = item.own + ".call_id"});
  return {};
}

/// Its text goes with the turn that it led to. What another server encrypted, nobody here can read.
base::Status ResponseItemsReader::read_reasoning(Json value, Item& item) {
  TRY(read_object<Item>(value, kReasoning, UnknownKeys::kRefused, item));
  for (const ChatPart& part : item.parts.parts.empty() ? item.summary.parts : item.parts.parts) {
    if (!reasoning_.empty()) reasoning_ += "\n\n";
    reasoning_ += part.text;
  }
  return {};
}

base::Status ResponseItemsReader::read(Json value, const std::string& own, std::string* kept) {
  TRY_ASSIGN(const std::string type, response_item_type(value));
  Item item{.own = own};
  if (type == "message") {
    TRY(read_message(value, item));
  } else if (type == "function_call") {
    TRY(read_call(value, item));
  } else if (type == "function_call_output") {
    TRY(read_output(value, item));
  } else if (type == "reasoning") {
    TRY(read_reasoning(value, item));
  } else {
    return base::invalid("is not known here: send the item itself");
  }
  if (kept == nullptr) return {};
  const std::size_t place = kept_++;
  if (item.id.empty()) item.id = fmt::format("{}{}i{}", id_prefix(type), options_.id_stem, place);
  *kept = kept_form(type, item);
  return {};
}

std::string text_item(std::string_view text) {
  std::string out = R"({"role":"user","content":)";
  append_string(out, text);
  return out + '}';
}

}  // namespace pmt::api
