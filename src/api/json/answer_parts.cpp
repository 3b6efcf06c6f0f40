#include "api/json/answer_parts.h"

#include <algorithm>
#include <initializer_list>

#include "base/json.h"
#include "base/json_text.h"

namespace pmt::api {
namespace {

/// The first of these members that is a text.
std::string text_member(const llm::MembersText& members, std::initializer_list<std::string_view> names) {
  if (members.empty()) return {};
  for (const base::JsonMember& member : base::members_of(members)) {
    if (std::ranges::find(names, member.name) == names.end()) continue;
    if (auto text = base::json_string(member.value)) return *std::move(text);
  }
  return {};
}

FunctionCall call_of(const std::string& text) {
  const auto call = base::parse_json(text);
  if (!call) return {};
  const nlohmann::json& function = base::at(*call, "function");
  return {.id = base::text_at(*call, "id"),
          .name = base::text_at(function, "name"),
          .arguments = base::text_at(function, "arguments")};
}

std::int64_t detail(const llm::Usage& usage, std::string_view group, std::string_view name) {
  if (usage.details.empty()) return 0;
  const auto details = base::parse_json("{" + usage.details + "}");
  return details ? base::integer_at(base::at(*details, group), name).value_or(0) : 0;
}

}  // namespace

std::vector<FunctionCall> function_calls(const std::vector<std::string>& tool_calls) {
  std::vector<FunctionCall> calls;
  calls.reserve(tool_calls.size());
  for (const std::string& call : tool_calls) calls.push_back(call_of(call));
  return calls;
}

FunctionCall call_piece(const llm::CallPiece& piece) {
  if (piece.sent.empty()) return {.id = piece.id, .name = piece.name, .arguments = piece.arguments};
  return call_of("{" + piece.sent + "}");
}

std::string reasoning_of(const llm::Delta& delta) {
  return delta.reasoning.empty() ? text_member(delta.more, {"reasoning_content", "reasoning"})
                                 : delta.reasoning;
}

std::string member_text(const llm::MembersText& members, std::string_view name) {
  return text_member(members, {name});
}

std::vector<std::string> member_items(const llm::MembersText& members, std::string_view name) {
  std::vector<std::string> out;
  if (members.empty()) return out;
  const auto all = base::members_of(members);
  const std::string_view value = base::value_of(all, name);
  if (!value.starts_with('[')) return out;
  for (const std::string_view item : base::items_of(value)) out.emplace_back(item);
  return out;
}

std::string refusal_of(const llm::Delta& delta) {
  return text_member(delta.more, {"refusal"});
}

std::int64_t cached_tokens(const llm::Usage& usage, const llm::Report& report) {
  if (report.kv) return report.kv->prefix_tokens_reused;
  if (usage.cached_prompt_tokens) return *usage.cached_prompt_tokens;
  return detail(usage, "prompt_tokens_details", "cached_tokens");
}

std::int64_t written_tokens(const llm::Usage& usage, const llm::Report& report) {
  return report.kv ? 0 : usage.cache_written_tokens;
}

std::int64_t reasoning_tokens(const llm::Usage& usage) {
  if (usage.reasoning_tokens > 0) return usage.reasoning_tokens;
  return detail(usage, "completion_tokens_details", "reasoning_tokens");
}

}  // namespace pmt::api
