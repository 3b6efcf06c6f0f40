#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "api/json/fields.h"
#include "api/json/parse.h"
#include "api/json/parse_tools.h"

namespace pmt::api {
namespace {

constexpr char kRefusal[] = "refusal";
constexpr char kFunctionRole[] = "function";

struct MessageDraft {
  llm::Message* message;
  bool has_content = false;
  std::string refusal = {};
  bool has_more = false;                // than llm::Message has members for
  std::vector<std::size_t> parts = {};  // bytes of each
};

/// A text, or what a model said instead of one.
struct Part {
  std::string type;
  std::string text;
  bool has_type = false;
  bool has_text = false;
  bool has_more = false;
};

base::Status read_part_text(Json value, Part& part) {
  part.has_text = true;
  return text(value, kTextMax, part.text);
}

constexpr Rule<Part> kPartRules[] = {
    {"type",
     [](Json v, Part& p) -> base::Status {
       std::string_view type;
       p.has_type = true;
       const bool known = v.get(type) == simdjson::SUCCESS && (type == "text" || type == kRefusal);
       if (!known) return mismatch("\"text\", the only kind of part that the models here read", v);
       p.type = type;
       p.has_more = p.has_more || type == kRefusal;
       return {};
     }},
    {"text", read_part_text},
    {kRefusal, read_part_text},
};

template <class T>
void note_more(std::string_view, Json value, T& into) {
  if (!value.is_null()) into.has_more = true;
}

base::Status read_part(Json value, MessageDraft& d) {
  Part part;
  TRY(read_object<Part>(value, kPartRules, UnknownKeys::kIgnored, part, note_more<Part>));
  if (!part.has_type) return below("type", base::invalid("is required"));
  if (!part.has_text) return below(part.type, base::invalid("is required"));
  if (!d.parts.empty()) d.message->content += '\n';  // so that words of two parts never run together
  d.message->content += part.text;
  d.parts.push_back(part.text.size());
  d.has_more = d.has_more || part.has_more;
  return {};
}

base::Status read_content(Json value, MessageDraft& d) {
  d.has_content = true;
  if (value.is_string()) return text(value, kTextMax, d.message->content);
  if (!value.is_array()) return mismatch("a string or an array of text parts", value);
  d.message->content.clear();
  return read_array(value, kTextMax, [&d](Json item) { return read_part(item, d); });
}

base::Status read_role(Json value, MessageDraft& d) {
  static constexpr std::string_view kRoles[] = {"system",    "developer", "user",
                                                "assistant", "tool",      kFunctionRole};
  std::string_view role;
  const bool is_text = value.get(role) == simdjson::SUCCESS;
  for (const std::string_view known : kRoles) {
    if (!is_text || role != known) continue;
    d.message->role = role;
    return {};
  }
  return not_one_of({std::begin(kRoles), std::end(kRoles)}, value);
}

constexpr Rule<MessageDraft> kMessageRules[] = {
    {"role", read_role},
    {"content", read_content},
    {"name", [](Json v, MessageDraft& d) { return text(v, 256, d.message->name); }},
    {"tool_calls", [](Json v, MessageDraft& d) { return read_tool_calls(v, d.message->tool_calls); }},
    {kRefusal,
     [](Json v, MessageDraft& d) {
       d.has_more = true;
       return text(v, kTextMax, d.refusal);
     }},
    // What tool_calls was before there were several.
    {"function_call",
     [](Json v, MessageDraft& d) {
       d.has_more = true;
       return read_function_call(v, d.message->tool_calls.emplace_back());
     }},
    {"reasoning_content",
     [](Json v, MessageDraft& d) {
       d.has_more = true;
       return text(v, kTextMax, d.message->reasoning);
     }},
    {"tool_call_id", [](Json v, MessageDraft& d) { return text(v, 256, d.message->tool_call_id); }},
};

/// Parts that are all text stand in the content: what it doesn't tell is where each ends. One alone is told apart
/// from no part, and not by its length, so that the semantic cache can compare it with others.
std::string told_parts(const std::vector<std::size_t>& parts) {
  if (parts.empty()) return {};
  return parts.size() == 1 ? R"({"parts":1})" : fmt::format(R"({{"parts":[{}]}})", fmt::join(parts, ","));
}

}  // namespace

base::Status parse_message(Json value, llm::Message& out) {
  MessageDraft draft{.message = &out};
  TRY(read_object<MessageDraft>(value, kMessageRules, UnknownKeys::kIgnored, draft, note_more<MessageDraft>));
  out.more = draft.has_more ? simdjson::minify(value) : told_parts(draft.parts);
  if (out.role.empty()) return below("role", base::invalid("is required"));
  if (out.role == kFunctionRole) {  // the result of a function_call
    if (out.name.empty()) {
      return below("name", base::invalid("is required in a message of role \"function\""));
    }
    out.role = "tool";
    out.tool_call_id = function_call_id(out.name);
    out.more = simdjson::minify(value);
  }
  // An answer may have said nothing but a call or a refusal, or nothing at all.
  if (!draft.has_content && out.role != "assistant") return below("content", base::invalid("is required"));
  if (out.content.empty()) out.content = std::move(draft.refusal);
  if (out.role == "tool" && out.tool_call_id.empty()) {
    return below("tool_call_id", base::invalid("is required in a message of role \"tool\""));
  }
  return {};
}

}  // namespace pmt::api
