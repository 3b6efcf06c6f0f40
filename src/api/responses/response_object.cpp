#include "api/responses/response_object.h"

#include <string_view>

#include <fmt/format.h>

#include "api/json/answer_parts.h"
#include "api/json/json_writer.h"
#include "api/json/render_parts.h"
#include "base/json_text.h"

namespace pmt::api {
namespace {

/// Every name that append_json writes: an upstream's member of the same name isn't repeated.
constexpr std::string_view kOwnMembers[] = {
    "background",
    "completed_at",
    "created_at",
    "error",
    "id",
    "incomplete_details",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "object",
    "output",
    "parallel_tool_calls",
    "permutation",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "status",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "usage",
    "user",
};

/// As it was sent, or what it is when it isn't.
void append_sent(ObjectWriter& w, const ResponseShape& shape, std::string_view name, const char* otherwise) {
  const auto at = shape.sent.find(name);
  w.member(name) += at == shape.sent.end() ? otherwise : at->second;
}

void append_text_or_null(ObjectWriter& w, std::string_view name, std::string_view text) {
  if (text.empty()) return w.null(name);
  w.string(name, text);
}

void append_usage_object(std::string& out, const llm::Usage& usage, const llm::Report& report) {
  ObjectWriter w(out);
  w.integer("input_tokens", usage.prompt_tokens);
  ObjectWriter input(w.member("input_tokens_details"));
  input.integer("cached_tokens", cached_tokens(usage, report));
  input.integer("cache_write_tokens", written_tokens(usage, report));
  input.end();
  w.integer("output_tokens", usage.completion_tokens);
  ObjectWriter output(w.member("output_tokens_details"));
  output.integer("reasoning_tokens", reasoning_tokens(usage));
  output.end();
  w.integer("total_tokens", usage.prompt_tokens + usage.completion_tokens);
  w.end();
}

/// OpenAI's codes for a response that failed are few.
void append_error_object(std::string& out, const base::Error& error) {
  const char* code = "server_error";
  if (error.code == base::Code::kExhausted) code = "rate_limit_exceeded";
  if (error.code == base::Code::kInvalidArgument || error.code == base::Code::kTooLarge)
    code = "invalid_prompt";
  ObjectWriter w(out);
  w.string("code", code);
  w.string("message", error.message);
  w.end();
}

const char* prefix_of(ResponseItem::Kind kind) {
  if (kind == ResponseItem::Kind::kReasoning) return "rs_";
  return kind == ResponseItem::Kind::kCall ? "fc_" : "msg_";
}

}  // namespace

void ResponseObject::start(const llm::Started& started) {
  if (!started.model.empty()) shape_.model = started.model;
  cache_ = started.cache;
  more_ = started.more;
}

ResponseItem& ResponseObject::add_item(ResponseItem::Kind kind) {
  items_.push_back({.kind = kind,
                    .id = fmt::format("{}{}o{}", prefix_of(kind), shape_.id_stem, items_.size()),
                    .text = ""});
  return items_.back();
}

void ResponseObject::end(llm::FinishReason reason) {
  status_ = "completed";
  if (reason == llm::FinishReason::kLength) incomplete_ = "max_output_tokens";
  if (reason == llm::FinishReason::kContentFilter) incomplete_ = "content_filter";
  if (incomplete_ != nullptr) status_ = "incomplete";
}

void ResponseObject::finish(llm::Done& done, std::int64_t now_unix_s) {
  if (!done.report.cache) done.report.cache = cache_;
  usage_ = done.usage;
  report_ = done.report;
  more_ = base::members_without(joined(more_, done.extra), kOwnMembers);
  completed_unix_s_ = now_unix_s;
}

void ResponseObject::fail(const base::Error& error, bool cancelled) {
  status_ = cancelled ? "cancelled" : "failed";
  if (!cancelled) error_ = error;
}

void ResponseObject::append_part(std::string& out, const ResponseItem& item) {
  ObjectWriter w(out);
  if (item.kind == ResponseItem::Kind::kRefusal) {
    w.string("type", "refusal");
    w.string("refusal", item.text);
  } else if (item.kind == ResponseItem::Kind::kReasoning) {
    w.string("type", "reasoning_text");
    w.string("text", item.text);
  } else {
    w.string("type", "output_text");
    w.string("text", item.text);
    w.member("annotations") += "[]";
    append_token_logprobs(w.member("logprobs"), item.logprobs);
  }
  w.end();
}

void ResponseObject::append_item(std::string& out, const ResponseItem& item) {
  if (!item.sent.empty() && std::string_view(item.status) != "in_progress") {
    out += item.sent;
    return;
  }
  ObjectWriter w(out);
  w.string("id", item.id);
  const bool begun = !item.text.empty() || std::string_view(item.status) != "in_progress";
  if (item.kind == ResponseItem::Kind::kCall) {
    w.string("type", "function_call");
    w.string("call_id", item.call_id);
    w.string("name", item.name);
    w.string("arguments", item.arguments);
  } else {
    const bool reasoning = item.kind == ResponseItem::Kind::kReasoning;
    w.string("type", reasoning ? "reasoning" : "message");
    if (reasoning) w.member("summary") += "[]";
    if (!reasoning) w.string("role", "assistant");
    w.member("content") += '[';
    if (begun) append_part(out, item);
    out += ']';
  }
  w.string("status", item.status);
  w.end();
}

void ResponseObject::append_json(std::string& out) const {
  ObjectWriter w(out);
  w.string("id", shape_.id());
  w.string("object", "response");
  w.integer("created_at", shape_.created_unix_s);
  w.string("status", status_);
  w.member("background") += shape_.background ? "true" : "false";
  if (std::string_view(status_) == "completed") {
    w.integer("completed_at", completed_unix_s_);
  } else {
    w.null("completed_at");
  }
  w.member("error");
  error_ ? append_error_object(out, *error_) : void(out += "null");
  w.member("incomplete_details");
  out += incomplete_ == nullptr ? "null" : fmt::format(R"({{"reason":"{}"}})", incomplete_);
  append_sent(w, shape_, "instructions", "null");
  append_sent(w, shape_, "max_output_tokens", "null");
  append_sent(w, shape_, "max_tool_calls", "null");
  append_sent(w, shape_, "metadata", "{}");
  w.string("model", shape_.model);
  w.member("output") += '[';
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (i > 0) out += ',';
    append_item(out, items_[i]);
  }
  out += ']';
  append_sent(w, shape_, "parallel_tool_calls", "true");
  append_text_or_null(w, "previous_response_id", shape_.previous_response_id);
  append_sent(w, shape_, "prompt_cache_key", "null");
  append_sent(w, shape_, "reasoning", R"({"effort":null,"summary":null})");
  append_sent(w, shape_, "safety_identifier", "null");
  append_sent(w, shape_, "service_tier", "\"default\"");
  w.member("store") += shape_.store ? "true" : "false";
  append_sent(w, shape_, "temperature", "1");
  append_sent(w, shape_, "text", R"({"format":{"type":"text"}})");
  append_sent(w, shape_, "tool_choice", "\"auto\"");
  append_sent(w, shape_, "tools", "[]");
  append_sent(w, shape_, "top_logprobs", "0");
  append_sent(w, shape_, "top_p", "1");
  w.string("truncation", "disabled");
  w.member("usage");
  usage_ ? append_usage_object(out, *usage_, report_) : void(out += "null");
  append_sent(w, shape_, "user", "null");
  if (usage_) append_report(w.member("permutation"), report_);
  if (usage_) append_members(w, more_);
  w.end();
}

std::string ResponseObject::json() const {
  std::string out;
  append_json(out);
  return out;
}

}  // namespace pmt::api
