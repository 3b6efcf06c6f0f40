#include "upstream/messages/message_reader.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/trimmed.h"
#include "upstream/upstream_error.h"

namespace pmt::upstream {
namespace {

using base::is_null;
using base::value_of;

constexpr std::string_view kOfMessages = "of the Messages API";
constexpr std::size_t kBlocksMax = 4096, kCallsMax = 128;
constexpr std::array<std::string_view, 4> kCounts = {"input_tokens", "cache_creation_input_tokens",
                                                     "cache_read_input_tokens", "output_tokens"};

base::Error not_ours(const std::string& what) {
  return garbage(what, kOfMessages);
}

llm::FinishReason reason_of(std::string_view word) {
  if (word == "max_tokens" || word == "model_context_window_exceeded") return llm::FinishReason::kLength;
  if (word == "tool_use") return llm::FinishReason::kToolCalls;
  return word == "refusal" ? llm::FinishReason::kContentFilter : llm::FinishReason::kStop;
}

/// Words that OpenAI's say as well.
bool says_all(std::string_view word) {
  static constexpr std::array<std::string_view, 3> kPlain = {"end_turn", "max_tokens", "tool_use"};
  return is_one_of(word, kPlain);
}

/// Members of a message that ours has itself, or that are read.
bool is_read(std::string_view name) {
  static constexpr std::array<std::string_view, 9> kNames = {
      "id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage", "permutation"};
  return is_one_of(name, kNames);
}

std::string thinking_block(std::string_view thinking, std::string_view signature) {
  return fmt::format(R"("thinking_blocks":[{{"type":"thinking","thinking":{},"signature":{}}}])",
                     base::json_quoted(thinking), base::json_quoted(signature));
}

}  // namespace

base::Status MessageReader::chunk(std::string_view payload, Events& out) {
  payload = base::trimmed(payload);
  if (done_ || payload.empty()) return {};
  if (payload == "[DONE]") return finish(out);
  TRY(check_object(payload, "an event", kOfMessages));
  const Members event = base::members_of(payload);
  const std::string type = text_of(event, "type");
  if (const std::string_view error = value_of(event, "error"); type == "error" || !is_null(error))
    return typed_error(base::parse_json(error).value_or(nullptr));
  if (type == "message_start") {
    const Members message = members_at(event, "message");
    start(message, out);
    take_usage(members_at(message, "usage"));
    return {};
  }
  if (type == "content_block_start") return begin_block(event, out);
  if (type == "content_block_delta") return add_delta(event, out);
  if (type == "content_block_stop") {
    TRY_ASSIGN(Block* const block, block_of(event));
    end_block(*block, out);
  } else if (type == "message_delta") {
    take_end(members_at(event, "delta"));
    take_usage(members_at(event, "usage"));
  } else if (type == "message_stop") {
    return finish(out);
  }
  return {};  // a ping, or what this API will say one day
}

base::Status MessageReader::whole(std::string_view text, Events& out) {
  text = base::trimmed(text);
  TRY(check_object(text, "a body", kOfMessages));
  const Members message = base::members_of(text);
  if (const std::string_view error = value_of(message, "error"); !is_null(error))
    return typed_error(base::parse_json(error).value_or(nullptr));
  if (!value_of(message, "content").starts_with('[')) return not_ours("no content");
  start(message, out);
  for (const std::string_view block : items_at(message, "content")) TRY(take_block(block, out));
  take_end(message);
  take_usage(members_at(message, "usage"));
  return finish(out);
}

void MessageReader::start(const Members& message, Events& out) {
  for (const base::JsonMember& member : message) {
    if (!is_read(member.name) && !is_null(member.value)) extra_[member.name] = member.value;
  }
  if (std::exchange(started_, true)) return;
  out.emplace_back(llm::Started{.model = about_.model, .created_unix_s = about_.now_unix_s, .cache = {}});
}

/// Whatever it says, Started comes first.
void MessageReader::say(llm::Delta delta, Events& out) {
  start({}, out);
  out.emplace_back(std::move(delta));
}

base::Result<MessageReader::Block*> MessageReader::block_of(const Members& event) {
  const auto index = base::json_integer(value_of(event, "index"));
  if (!index || *index < 0) return not_ours("a block's index");
  const auto found = blocks_.find(*index);
  if (found == blocks_.end()) return not_ours("a block that never began");
  return &found->second;
}

base::Status MessageReader::begin_block(const Members& event, Events& out) {
  const auto index = base::json_integer(value_of(event, "index"));
  if (!index || *index < 0) return not_ours("a block's index");
  if (blocks_.size() == kBlocksMax) return not_ours("too many blocks");
  const std::string_view text = value_of(event, "content_block");
  if (!text.starts_with('{')) return not_ours("a block that is no object");
  Block& state = blocks_[*index] = {};
  const Members block = base::members_of(text);
  const std::string type = text_of(block, "type");
  if (type == "text") {
    state.kind = Kind::kText;
    has_text_ = true;
    if (std::string said = text_of(block, "text"); !said.empty())
      say({.text = std::move(said), .logprobs = {}}, out);
  } else if (type == "thinking") {
    state.kind = Kind::kThinking;
    state.thinking = text_of(block, "thinking");
    state.signature = text_of(block, "signature");
    if (!state.thinking.empty()) say({.text = {}, .logprobs = {}, .reasoning = state.thinking}, out);
  } else if (type == "tool_use") {
    return begin_call(block, state, out);
  } else {
    const char* const name = type == "redacted_thinking" ? "thinking_blocks" : "content_parts";
    say({.text = {}, .logprobs = {}, .more = fmt::format("\"{}\":[{}]", name, text)}, out);
  }
  return {};
}

base::Status MessageReader::begin_call(const Members& block, Block& state, Events& out) {
  if (calls_.size() == kCallsMax) return not_ours("too many tool calls");
  Call call{.id = text_of(block, "id"), .name = text_of(block, "name"), .arguments = {}};
  if (call.name.empty()) return not_ours("a tool call without a name");
  if (call.id.empty())
    call.id = "call_" + base::sha256(fmt::format("{}/{}", about_.seed, calls_.size())).hex().substr(0, 24);
  state.kind = Kind::kToolUse;
  state.call = calls_.size();
  state.input = value_of(block, "input");
  llm::CallPiece piece{
      .index = static_cast<int>(calls_.size()), .id = call.id, .name = call.name, .arguments = {}};
  calls_.push_back(std::move(call));
  llm::Delta delta{.text = {}, .logprobs = {}};
  delta.calls.push_back(std::move(piece));
  say(std::move(delta), out);
  return {};
}

void MessageReader::add_arguments(std::size_t call, std::string piece, Events& out) {
  if (piece.empty()) return;
  calls_[call].arguments += piece;
  llm::Delta delta{.text = {}, .logprobs = {}};
  delta.calls.push_back(
      {.index = static_cast<int>(call), .id = {}, .name = {}, .arguments = std::move(piece)});
  say(std::move(delta), out);
}

base::Status MessageReader::add_delta(const Members& event, Events& out) {
  TRY_ASSIGN(Block* const block, block_of(event));
  const Members delta = members_at(event, "delta");
  const std::string type = text_of(delta, "type");
  if (type == "text_delta") {
    std::string said = text_of(delta, "text");
    if (!said.empty()) say({.text = std::move(said), .logprobs = {}}, out);
  } else if (type == "thinking_delta") {
    std::string thought = text_of(delta, "thinking");
    block->thinking += thought;
    if (!thought.empty()) say({.text = {}, .logprobs = {}, .reasoning = std::move(thought)}, out);
  } else if (type == "signature_delta") {
    block->signature += text_of(delta, "signature");
  } else if (type == "input_json_delta") {
    if (block->kind == Kind::kToolUse) add_arguments(block->call, text_of(delta, "partial_json"), out);
  } else if (type == "citations_delta") {
    const std::string_view citation = value_of(delta, "citation");
    if (!is_null(citation))
      say({.text = {}, .logprobs = {}, .more = fmt::format("\"citations\":[{}]", citation)}, out);
  }
  return {};
}

void MessageReader::end_block(Block& block, Events& out) {
  if (std::exchange(block.ended, true)) return;
  if (block.kind == Kind::kThinking && !block.signature.empty()) {
    say({.text = {}, .logprobs = {}, .more = thinking_block(block.thinking, block.signature)}, out);
  } else if (block.kind == Kind::kToolUse && calls_[block.call].arguments.empty()) {
    add_arguments(block.call, block.input.starts_with('{') ? block.input : "{}", out);
  }
}

/// A block that comes whole, as its events would say it.
base::Status MessageReader::take_block(std::string_view text, Events& out) {
  if (!text.starts_with('{')) return not_ours("a block that is no object");
  const std::string event = fmt::format("{{\"index\":{},\"content_block\":{}}}", blocks_.size(), text);
  const auto index = static_cast<std::int64_t>(blocks_.size());
  TRY(begin_block(base::members_of(event), out));
  end_block(blocks_[index], out);
  const std::string_view citations = value_of(base::members_of(text), "citations");
  if (citations.starts_with('[') && text_of(base::members_of(text), "type") == "text")
    say({.text = {}, .logprobs = {}, .more = fmt::format("\"citations\":{}", citations)}, out);
  return {};
}

void MessageReader::take_end(const Members& delta) {
  if (std::string reason = text_of(delta, "stop_reason"); !reason.empty()) stop_reason_ = std::move(reason);
  if (std::string which = text_of(delta, "stop_sequence"); !which.empty()) stop_sequence_ = std::move(which);
  for (const base::JsonMember& member : delta) {
    if (!is_read(member.name) && !is_null(member.value)) extra_[member.name] = member.value;
  }
}

/// Each event says it anew, or a part of it: counts only grow.
void MessageReader::take_usage(const Members& usage) {
  for (const base::JsonMember& member : usage) {
    if (is_null(member.value)) continue;
    if (!is_one_of(member.name, kCounts)) {
      usage_more_[member.name] = member.value;
      continue;
    }
    std::int64_t& count = counts_[member.name];
    count = std::max(count, count_of(usage, member.name));
  }
}

llm::Usage MessageReader::usage() const {
  const auto count = [this](std::string_view name) {
    const auto found = counts_.find(name);
    return found == counts_.end() ? 0 : found->second;
  };
  const std::int64_t written = count(kCounts[1]), read = count(kCounts[2]);
  llm::Usage out{.prompt_tokens = count(kCounts[0]) + written + read, .completion_tokens = count(kCounts[3])};
  if (counts_.contains(kCounts[1]) || counts_.contains(kCounts[2])) {
    out.cached_prompt_tokens = read;
    out.cache_written_tokens = written;
    add_member(out.details, "prompt_tokens_details",
               fmt::format(R"({{"cached_tokens":{},"cache_write_tokens":{}}})", read, written));
  }
  for (const auto& [name, value] : usage_more_) {
    if (name == "output_tokens_details" && value.starts_with('{')) {
      out.reasoning_tokens = count_of(base::members_of(value), "thinking_tokens");
      add_member(out.details, "completion_tokens_details",
                 fmt::format(R"({{"reasoning_tokens":{}}})", out.reasoning_tokens));
    } else {
      add_whole(out.details, base::json_quoted(name) + ':' + value);
    }
  }
  return out;
}

llm::ChoiceEnd MessageReader::choice_end() const {
  llm::ChoiceEnd end{.choice = 0, .reason = reason_of(stop_reason_), .tool_calls = {}};
  for (const Call& call : calls_) end.tool_calls.push_back(chat_call(call.id, call.name, call.arguments));
  end.no_content = !has_text_;
  if (!says_all(stop_reason_))
    add_member(end.choice_more, "native_finish_reason", base::json_quoted(stop_reason_));
  if (!stop_sequence_.empty())
    add_member(end.choice_more, "stop_sequence", base::json_quoted(stop_sequence_));
  return end;
}

base::Status MessageReader::finish(Events& out) {
  if (done_) return {};
  if (!started_ || stop_reason_.empty())
    return base::Error{base::Code::kBadGateway, "its answer broke off before its end"};
  done_ = true;
  for (auto& [index, block] : blocks_) end_block(block, out);
  out.emplace_back(choice_end());
  llm::Done done{.usage = usage(), .report = {}};
  for (const auto& [name, value] : extra_) add_whole(done.extra, base::json_quoted(name) + ':' + value);
  out.emplace_back(std::move(done));
  return {};
}

}  // namespace pmt::upstream
