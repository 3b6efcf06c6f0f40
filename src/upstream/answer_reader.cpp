#include "upstream/answer_reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/json.h"
#include "base/trimmed.h"
#include "upstream/answer_logprobs.h"
#include "upstream/foreign_json.h"
#include "upstream/upstream_error.h"
#include "upstream/usage_reader.h"

namespace pmt::upstream {
namespace {

using base::is_null;
using base::value_of;

constexpr std::int64_t kUnixMaxS = std::int64_t{1} << 40;  // some 30,000 years

void add_member(llm::MembersText& members, const base::JsonMember& member) {
  add_whole(members, member.whole);
}

/// A content in parts: its text, and the parts as they were written where text isn't all of them.
base::Status read_parts(std::string_view parts, llm::Delta& delta) {
  bool only_text = true;
  for (const std::string_view part : base::items_of(parts)) {
    if (!part.starts_with('{')) return garbage("a content's part");
    const auto members = base::members_of(part);
    const auto text = base::json_string(value_of(members, "text"));
    delta.text += text.value_or("");
    only_text = only_text && text && members.size() <= 2;  // with its type
  }
  if (!only_text) delta.more = "\"content_parts\":" + std::string(parts);
  return {};
}

/// OpenAI's words, and those of others that mean the same.
llm::FinishReason reason_of(std::string_view name) {
  static constexpr std::array<std::string_view, 4> kLength = {"length", "max_tokens", "MAX_TOKENS",
                                                              "model_length"};
  static constexpr std::array<std::string_view, 4> kCalls = {"tool_calls", "function_call", "tool_call",
                                                             "tool_use"};
  static constexpr std::array<std::string_view, 3> kFilter = {"content_filter", "SAFETY", "safety"};
  if (is_one_of(name, kLength)) return llm::FinishReason::kLength;
  if (is_one_of(name, kCalls)) return llm::FinishReason::kToolCalls;
  if (is_one_of(name, kFilter)) return llm::FinishReason::kContentFilter;
  return llm::FinishReason::kStop;  // "stop", "eos", "end_turn"
}

/// An end that another try may not have: the answer isn't kept.
bool is_failure(std::string_view reason) {
  static constexpr std::array<std::string_view, 7> kNames = {
      "error", "abort", "aborted", "cancelled", "timeout", "network_error", "insufficient_system_resource"};
  return is_one_of(reason, kNames);
}

/// Members that the answer which we write has anyway.
bool is_ours(std::string_view name) {
  static constexpr std::array<std::string_view, 7> kNames = {"id",      "object", "created",    "model",
                                                             "choices", "usage",  "permutation"};
  return is_one_of(name, kNames);
}
bool is_ours_of_choice(std::string_view name) {
  static constexpr std::array<std::string_view, 6> kNames = {"index", "message",       "delta",
                                                             "text",  "finish_reason", "logprobs"};
  return is_one_of(name, kNames);
}

/// What was quiet so far, and these.
llm::MembersText with_quiet(llm::JsonSum& quiet, llm::MembersText members) {
  if (quiet.empty()) return members;
  quiet.add(members);
  return std::exchange(quiet, llm::JsonSum(llm::JsonSum::Rule::kLast)).text();
}

bool says_something(const llm::MembersText& members) {
  const auto all = base::members_of(members);
  return std::any_of(all.begin(), all.end(), [](const auto& member) { return !base::is_null(member.value); });
}

}  // namespace

base::Status AnswerReader::chunk(std::string_view payload, std::vector<llm::Event>& out) {
  payload = base::trimmed(payload);
  if (done_ || payload.empty()) return {};
  if (payload == "[DONE]") return finish(out);
  TRY(check_object(payload, "a chunk"));
  return take(payload, Shape::kChunk, out);
}

base::Status AnswerReader::whole(std::string_view text, std::vector<llm::Event>& out) {
  text = base::trimmed(text);
  TRY(check_object(text, "a body"));
  TRY(take(text, Shape::kWhole, out));
  return finish(out);
}

base::Status AnswerReader::take(std::string_view text, Shape shape, std::vector<llm::Event>& out) {
  const Members body = base::members_of(text);
  if (const std::string_view error = value_of(body, "error"); !is_null(error))
    return stream_error(base::parse_json(error).value_or(nullptr));
  const std::string_view choices = value_of(body, "choices"), usage = value_of(body, "usage");
  const bool silent = is_null(choices) && shape == Shape::kChunk;
  if (!silent && !choices.starts_with('[')) return garbage("no choices");
  if (silent && is_null(usage) && !value_of(body, "object").ends_with(".chunk\"")) return {};
  start(body, out);
  if (!silent) {
    for (const std::string_view choice : base::items_of(choices)) TRY(take_choice(choice, shape, out));
  }
  take_usage(usage);
  for (const base::JsonMember& member : body) {
    const auto known = head_.find(member.name);
    if (!is_ours(member.name) && (known == head_.end() || known->second != member.value))
      extra_.add(member.whole);
  }
  return {};
}

void AnswerReader::start(const Members& body, std::vector<llm::Event>& out) {
  if (std::exchange(started_, true)) return;
  const auto created = base::json_integer(value_of(body, "created"));
  const bool can_be = created && *created >= 0 && *created <= kUnixMaxS;
  llm::Started started{
      .model = about_.model, .created_unix_s = can_be ? *created : about_.now_unix_s, .cache = {}};
  for (const base::JsonMember& member : body) {
    const bool repeated = value_of(body, member.name).data() != member.value.data();
    if (is_ours(member.name) || repeated || member.value.find_first_of("[{") == 0) continue;
    head_.emplace(member.name, member.value);
    add_member(started.more, member);
  }
  out.emplace_back(std::move(started));
}

base::Status AnswerReader::take_choice(std::string_view text, Shape shape, std::vector<llm::Event>& out) {
  if (!text.starts_with('{')) return garbage("a choice");
  const Members choice = base::members_of(text);
  const std::string_view index = value_of(choice, "index");
  const auto number = is_null(index) ? 0 : base::json_integer(index).value_or(-1);
  if (number < 0 || number >= llm::kChoicesMax) return garbage("a choice's index");
  llm::Delta delta{.choice = static_cast<int>(number), .text = {}, .logprobs = {}};
  Choice& state = choice_of(delta.choice);
  if (state.ended) return {};
  TRY(take_piece(choice, shape, state, delta));
  llm::ChoiceEnd end{.choice = delta.choice, .reason = {}, .tool_calls = {}};
  std::string_view reason = value_of(choice, "finish_reason");
  if (reason == "\"\"") reason = {};
  for (const base::JsonMember& member : choice) {
    if (!is_ours_of_choice(member.name))
      add_member(is_null(reason) ? delta.choice_more : end.choice_more, member);
  }
  const bool says = !delta.text.empty() || !delta.logprobs.empty() || !delta.calls.empty() ||
                    says_something(delta.more) || says_something(delta.choice_more);
  if (says) {
    delta.more = with_quiet(state.quiet, std::move(delta.more));
    delta.choice_more = with_quiet(state.quiet_choice, std::move(delta.choice_more));
    out.emplace_back(std::move(delta));
  } else {
    state.quiet.add(delta.more);
    state.quiet_choice.add(delta.choice_more);
  }
  return is_null(reason) ? base::Status() : end_choice(reason, state, std::move(end), out);
}

AnswerReader::Choice& AnswerReader::choice_of(int number) {
  const auto found = choices_.find(number);
  if (found != choices_.end()) return found->second;
  return choices_.emplace(number, fmt::format("{}/{}", about_.seed, number)).first->second;
}

/// What a choice says now: its text or message, and the log-probabilities of it.
base::Status AnswerReader::take_piece(const Members& choice, Shape shape, Choice& state,
                                      llm::Delta& delta) const {
  if (about_.endpoint == llm::Endpoint::kChat) {
    const std::string_view piece = value_of(choice, "delta"), message = value_of(choice, "message");
    const bool is_piece = is_null(message) || (shape == Shape::kChunk && !is_null(piece));
    TRY(take_message(is_piece ? piece : message, is_piece ? Shape::kChunk : Shape::kWhole, state, delta));
  } else {
    const std::string_view said = value_of(choice, "text");
    if (!is_null(said) && !said.starts_with('"')) return garbage("a text that is none");
    delta.text = base::json_string(said).value_or("");
  }
  const std::string_view logprobs = value_of(choice, "logprobs");
  TRY(read_logprobs(logprobs, about_.endpoint, delta.logprobs));
  if (!is_null(logprobs)) delta.choice_more = "\"logprobs\":" + std::string(logprobs);
  return {};
}

base::Status AnswerReader::end_choice(std::string_view reason, Choice& choice, llm::ChoiceEnd end,
                                      std::vector<llm::Event>& out) {
  const auto name = base::json_string(reason);
  if (!name) return garbage("a finish_reason that is no text");
  choice.ended = true;
  transient_ = transient_ || is_failure(*name);
  end.reason = reason_of(*name);
  if (*name == "function_call") {
    end.said = *name;
  } else if (*name != to_string(end.reason) &&
             end.choice_more.find("\"native_finish_reason\"") == std::string::npos) {
    // Clients know OpenAI's words only.
    end.choice_more +=
        (end.choice_more.empty() ? "" : ",") + ("\"native_finish_reason\":" + std::string(reason));
  }
  TRY_ASSIGN(end.tool_calls, choice.calls.calls());
  if (!choice.quiet.empty())
    out.emplace_back(
        llm::Delta{.choice = end.choice, .text = {}, .logprobs = {}, .more = with_quiet(choice.quiet, {})});
  end.choice_more = with_quiet(choice.quiet_choice, std::move(end.choice_more));
  end.no_content = about_.endpoint == llm::Endpoint::kChat && !choice.has_content;
  out.emplace_back(std::move(end));
  return {};
}

base::Status AnswerReader::take_message(std::string_view text, Shape shape, Choice& choice,
                                        llm::Delta& delta) const {
  if (is_null(text)) return {};
  if (!text.starts_with('{')) return garbage("a message");
  const Members message = base::members_of(text);
  const std::string_view content = value_of(message, "content");
  if (content.starts_with('"')) {
    delta.text = base::json_string(content).value_or("");
  } else if (content.starts_with('[')) {
    TRY(read_parts(content, delta));
  } else if (!is_null(content)) {
    return garbage("a content that is neither text nor parts");
  }
  choice.has_content = choice.has_content || !is_null(content);
  TRY(choice.calls.take(value_of(message, "tool_calls"), shape == Shape::kWhole, delta.calls));
  const std::string_view refusal = value_of(message, "refusal");
  if (!is_null(refusal) && !refusal.starts_with('"')) return garbage("a refusal that is no text");
  for (const base::JsonMember& member : message) {
    const bool ours = member.name == "role" || member.name == "content" || member.name == "tool_calls" ||
                      (member.name == "refusal" && is_null(member.value));
    if (!ours) add_member(delta.more, member);
  }
  return {};
}

void AnswerReader::take_usage(std::string_view usage) {
  if (usage.starts_with('{')) usage_ = read_usage(usage);
}

base::Status AnswerReader::finish(std::vector<llm::Event>& out) {
  if (done_) return {};
  const bool all_ended =
      std::all_of(choices_.begin(), choices_.end(), [](const auto& entry) { return entry.second.ended; });
  if (!started_ || choices_.empty() || !all_ended) {
    return base::Error{base::Code::kBadGateway, "its answer broke off before its end"};
  }
  done_ = true;
  out.emplace_back(
      llm::Done{.usage = std::move(usage_), .report = {}, .extra = extra_.text(), .transient = transient_});
  return {};
}

}  // namespace pmt::upstream
