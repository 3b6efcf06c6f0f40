#include "upstream/responses/response_reader.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/trimmed.h"
#include "upstream/answer_logprobs.h"
#include "upstream/upstream_error.h"

namespace pmt::upstream {
namespace {

using base::is_null;
using base::value_of;

constexpr std::string_view kOfResponses = "of the Responses API";
constexpr std::size_t kItemsMax = 4096, kCallsMax = 128;
constexpr std::int64_t kUnixMaxS = std::int64_t{1} << 40;  // some 30,000 years

base::Error not_ours(const std::string& what) {
  return garbage(what, kOfResponses);
}

bool is_end(std::string_view type) {
  static constexpr std::array<std::string_view, 4> kEnds = {"response.completed", "response.incomplete",
                                                            "response.failed", "response.cancelled"};
  return std::find(kEnds.begin(), kEnds.end(), type) != kEnds.end();
}

bool begins(std::string_view type) {
  return type == "response.created" || type == "response.in_progress" || type == "response.queued";
}

/// The texts of an item's parts, each a paragraph.
std::string texts_of(const Members& item, std::string_view name) {
  std::string out;
  for (const std::string_view part : items_at(item, name)) {
    if (!part.starts_with('{')) continue;
    const std::string text = text_of(base::members_of(part), "text");
    if (!text.empty()) out += (out.empty() ? "" : "\n\n") + text;
  }
  return out;
}

}  // namespace

base::Status ResponseReader::chunk(std::string_view payload, Events& out) {
  payload = base::trimmed(payload);
  if (done_ || payload.empty()) return {};
  if (payload == "[DONE]") return finish(out);
  TRY(check_object(payload, "an event", kOfResponses));
  const Members event = base::members_of(payload);
  if (const std::string_view error = value_of(event, "error"); !is_null(error))
    return typed_error(base::parse_json(error).value_or(nullptr));
  const std::string type = text_of(event, "type");
  if (type == "error") return typed_error(base::parse_json(payload).value_or(nullptr));
  if (begins(type)) {
    start(members_at(event, "response"), out);
    return {};
  }
  if (!is_end(type)) return take_event(type, event, out);
  TRY(take_end(members_at(event, "response"), out));
  return finish(out);
}

base::Status ResponseReader::whole(std::string_view text, Events& out) {
  text = base::trimmed(text);
  TRY(check_object(text, "a body", kOfResponses));
  const Members response = base::members_of(text);
  if (const std::string_view error = value_of(response, "error"); !is_null(error))
    return typed_error(base::parse_json(error).value_or(nullptr));
  if (!value_of(response, "output").starts_with('[')) return not_ours("no output");
  TRY(take_end(response, out));
  return finish(out);
}

void ResponseReader::start(const Members& response, Events& out) {
  if (std::exchange(started_, true)) return;
  const auto created = base::json_integer(value_of(response, "created_at"));
  const bool can_be = created && *created >= 0 && *created <= kUnixMaxS;
  llm::Started started{
      .model = about_.model, .created_unix_s = can_be ? *created : about_.now_unix_s, .cache = {}};
  const std::string_view tier = value_of(response, "service_tier");
  if (!is_null(tier) && tier.starts_with('"')) add_member(started.more, "service_tier", tier);
  out.emplace_back(std::move(started));
}

void ResponseReader::say(llm::Delta delta, Events& out) {
  start({}, out);
  out.emplace_back(std::move(delta));
}

void ResponseReader::say_more(std::string_view name, std::string_view value, Events& out) {
  llm::Delta delta{.text = {}, .logprobs = {}};
  add_member(delta.more, name, value);
  say(std::move(delta), out);
}

base::Result<ResponseReader::Item*> ResponseReader::item_of(const Members& event) {
  const auto index = base::json_integer(value_of(event, "output_index"));
  if (!index || *index < 0) return not_ours("an item's place in the output");
  if (items_.size() >= kItemsMax && !items_.contains(*index)) return not_ours("too many items");
  return &items_[*index];
}

base::Status ResponseReader::take_event(std::string_view type, const Members& event, Events& out) {
  if (is_null(value_of(event, "output_index"))) return {};  // nothing of the output
  TRY_ASSIGN(Item* const item, item_of(event));
  const std::string_view text = value_of(event, "item");
  if (type == "response.output_item.added" || type == "response.output_item.done") {
    if (!text.starts_with('{')) return not_ours("an item that is no object");
    const Members members = base::members_of(text);
    if (type == "response.output_item.done") return end_item(text, *item, out);
    return text_of(members, "type") == "function_call" ? begin_call(members, *item, out) : base::Status();
  }
  if (type == "response.output_text.delta") {
    item->said = true;
    add_text(event, text_of(event, "delta"), out);
  } else if (type == "response.refusal.delta") {
    item->said = true;
    say_more("refusal", base::json_quoted(text_of(event, "delta")), out);
  } else if (type == "response.reasoning_text.delta" || type == "response.reasoning_summary_text.delta") {
    add_reasoning(event, *item, out);
  } else if (type == "response.function_call_arguments.delta") {
    if (item->call) add_arguments(*item->call, text_of(event, "delta"), out);
  } else if (type == "response.output_text.annotation.added") {
    const std::string_view annotation = value_of(event, "annotation");
    if (!is_null(annotation)) say_more("annotations", fmt::format("[{}]", annotation), out);
  }
  return {};
}

/// With its log-probabilities, which are chat's.
void ResponseReader::add_text(const Members& event, std::string text, Events& out) {
  has_text_ = true;
  llm::Delta delta{.text = std::move(text), .logprobs = {}};
  const std::string_view logprobs = value_of(event, "logprobs");
  if (logprobs.starts_with('[') && !base::items_of(logprobs).empty()) {
    const std::string chat = fmt::format(R"({{"content":{}}})", logprobs);
    (void)read_logprobs(chat, llm::Endpoint::kChat, delta.logprobs);  // the text itself goes on anyway
    add_member(delta.choice_more, "logprobs", chat);
  }
  if (!delta.text.empty() || !delta.logprobs.empty()) say(std::move(delta), out);
}

void ResponseReader::add_reasoning(const Members& event, Item& item, Events& out) {
  std::string text = text_of(event, "delta");
  const std::int64_t part = base::json_integer(value_of(event, "summary_index")).value_or(item.part);
  const bool begins_another = item.said && part != item.part;
  item.part = part;
  item.said = true;
  if (begins_another) text.insert(0, "\n\n");
  if (!text.empty()) say({.text = {}, .logprobs = {}, .reasoning = std::move(text)}, out);
}

base::Status ResponseReader::begin_call(const Members& item, Item& state, Events& out) {
  if (state.call) return {};
  if (calls_.size() == kCallsMax) return not_ours("too many tool calls");
  Call call{.id = text_of(item, "call_id"), .name = text_of(item, "name"), .arguments = {}};
  if (call.name.empty()) return not_ours("a function call without a name");
  if (call.id.empty())
    call.id = "call_" + base::sha256(fmt::format("{}/{}", about_.seed, calls_.size())).hex().substr(0, 24);
  state.call = calls_.size();
  llm::Delta delta{.text = {}, .logprobs = {}};
  delta.calls.push_back(
      {.index = static_cast<int>(calls_.size()), .id = call.id, .name = call.name, .arguments = {}});
  calls_.push_back(std::move(call));
  say(std::move(delta), out);
  return {};
}

void ResponseReader::add_arguments(std::size_t call, std::string piece, Events& out) {
  if (piece.empty()) return;
  calls_[call].arguments += piece;
  llm::Delta delta{.text = {}, .logprobs = {}};
  delta.calls.push_back(
      {.index = static_cast<int>(call), .id = {}, .name = {}, .arguments = std::move(piece)});
  say(std::move(delta), out);
}

/// Says what no event before has said of it.
base::Status ResponseReader::end_item(std::string_view text, Item& state, Events& out) {
  if (std::exchange(state.ended, true)) return {};
  const Members item = base::members_of(text);
  const std::string type = text_of(item, "type");
  if (type == "message") {
    end_message(item, state, out);
  } else if (type == "function_call") {
    return end_call(item, state, out);
  } else if (type == "reasoning") {
    end_reasoning(item, text, state, out);
  } else {
    say_more("output_items", fmt::format("[{}]", text), out);
  }
  return {};
}

void ResponseReader::end_message(const Members& item, Item& state, Events& out) {
  has_text_ = true;
  if (state.said) return;
  for (const std::string_view text : items_at(item, "content")) {
    if (!text.starts_with('{')) continue;
    const Members part = base::members_of(text);
    if (text_of(part, "type") == "refusal") {
      say_more("refusal", base::json_quoted(text_of(part, "refusal")), out);
      continue;
    }
    add_text(part, text_of(part, "text"), out);
    if (const auto annotations = items_at(part, "annotations"); !annotations.empty())
      say_more("annotations", value_of(part, "annotations"), out);
  }
}

void ResponseReader::end_reasoning(const Members& item, std::string_view text, Item& state, Events& out) {
  if (!state.said) {
    std::string thought = texts_of(item, "content");
    if (thought.empty()) thought = texts_of(item, "summary");
    if (!thought.empty()) say({.text = {}, .logprobs = {}, .reasoning = std::move(thought)}, out);
  }
  if (!text_of(item, "encrypted_content").empty())
    say_more("reasoning_items", fmt::format("[{}]", text), out);
}

base::Status ResponseReader::end_call(const Members& item, Item& state, Events& out) {
  TRY(begin_call(item, state, out));
  if (calls_[*state.call].arguments.empty()) add_arguments(*state.call, text_of(item, "arguments"), out);
  return {};
}

void ResponseReader::take_usage(const Members& usage) {
  usage_ = {.prompt_tokens = count_of(usage, "input_tokens"),
            .completion_tokens = count_of(usage, "output_tokens")};
  if (const Members input = members_at(usage, "input_tokens_details"); !input.empty()) {
    usage_.cached_prompt_tokens = count_of(input, "cached_tokens");
    usage_.cache_written_tokens = count_of(input, "cache_write_tokens");
  }
  usage_.reasoning_tokens = count_of(members_at(usage, "output_tokens_details"), "reasoning_tokens");
  const std::int64_t total = count_of(usage, "total_tokens");
  if (total > 0 && total != usage_.prompt_tokens + usage_.completion_tokens) usage_.total_tokens = total;
  for (const base::JsonMember& member : usage) {
    if (member.name == "input_tokens" || member.name == "output_tokens" || member.name == "total_tokens")
      continue;
    const std::string_view name = member.name == "input_tokens_details"    ? "prompt_tokens_details"
                                  : member.name == "output_tokens_details" ? "completion_tokens_details"
                                                                           : "";
    if (name.empty()) {
      add_whole(usage_.details, member.whole);
    } else {
      add_member(usage_.details, name, member.value);
    }
  }
}

/// The response as it ended: what no event said of its output is in it, too.
base::Status ResponseReader::take_end(const Members& response, Events& out) {
  if (const std::string_view error = value_of(response, "error"); !is_null(error))
    return typed_error(base::parse_json(error).value_or(nullptr));
  const std::string status = text_of(response, "status");
  if (status == "failed" || status == "cancelled")
    return base::Error{base::Code::kBadGateway, fmt::format("its answer ended as {}", status)};
  if (status == "queued" || status == "in_progress") return not_ours("an answer that isn't there yet");
  start(response, out);
  const auto items = items_at(response, "output");
  if (items.size() > kItemsMax) return not_ours("too many items");
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!items[i].starts_with('{')) return not_ours("an item that is no object");
    TRY(end_item(items[i], items_[static_cast<std::int64_t>(i)], out));
  }
  take_usage(members_at(response, "usage"));
  ended_ = true;
  if (!calls_.empty()) reason_ = llm::FinishReason::kToolCalls;
  if (status != "incomplete") return {};
  const std::string why = text_of(members_at(response, "incomplete_details"), "reason");
  reason_ = why == "content_filter" ? llm::FinishReason::kContentFilter : llm::FinishReason::kLength;
  if (why != "max_output_tokens" && why != "content_filter") native_reason_ = why;
  return {};
}

base::Status ResponseReader::finish(Events& out) {
  if (done_) return {};
  if (!ended_) return base::Error{base::Code::kBadGateway, "its answer broke off before its end"};
  done_ = true;
  llm::ChoiceEnd end{.choice = 0, .reason = reason_, .tool_calls = {}};
  for (const Call& call : calls_) end.tool_calls.push_back(chat_call(call.id, call.name, call.arguments));
  end.no_content = !has_text_;
  if (!native_reason_.empty())
    add_member(end.choice_more, "native_finish_reason", base::json_quoted(native_reason_));
  out.emplace_back(std::move(end));
  out.emplace_back(llm::Done{.usage = usage_, .report = {}});
  return {};
}

}  // namespace pmt::upstream
