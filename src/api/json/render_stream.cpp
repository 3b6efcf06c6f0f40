#include <utility>

#include "api/errors.h"
#include "api/json/json_writer.h"
#include "api/json/render.h"
#include "api/json/render_parts.h"

namespace pmt::api {
namespace {

constexpr char kOpen[] = "data: ";
constexpr char kClose[] = "\n\n";

/// In a stream each call says which it is.
nlohmann::json with_indices(nlohmann::json tool_calls) {
  for (std::size_t i = 0; i < tool_calls.size(); ++i) {
    if (tool_calls[i].is_object()) tool_calls[i]["index"] = i;
  }
  return tool_calls;
}

}  // namespace

StreamRenderer::StreamRenderer(AnswerShape shape) : shape_(std::move(shape)) {}

void StreamRenderer::start(const llm::Started& started) {
  const bool chat = shape_.endpoint == llm::Endpoint::kChat;
  std::string object;
  ObjectWriter w(object);
  w.string("id", shape_.id);
  w.string("object", chat ? "chat.completion.chunk" : "text_completion");
  w.integer("created", started.created_unix_s);
  w.string("model", started.model);
  w.string("system_fingerprint", system_fingerprint());
  head_ = kOpen + object;
  cache_ = started.cache;
}

void StreamRenderer::open_chunk(std::string& out) const {
  out += head_;
  if (shape_.include_usage) out += ",\"usage\":null";
  out += ",\"choices\":[";
}

std::int64_t& StreamRenderer::offset(int choice) {
  const auto i = static_cast<std::size_t>(choice);
  if (i >= offsets_.size()) offsets_.resize(i + 1);
  return offsets_[i];
}

void StreamRenderer::append_role(std::string& out, int index) {
  if (shape_.endpoint != llm::Endpoint::kChat) return;
  const auto i = static_cast<std::size_t>(index);
  if (i >= role_sent_.size()) role_sent_.resize(i + 1);
  if (role_sent_[i]) return;
  role_sent_[i] = true;
  open_chunk(out);
  ObjectWriter w(out);
  w.integer("index", index);
  w.member("delta") += R"({"role":"assistant","content":"","refusal":null})";
  w.null("logprobs");
  w.null("finish_reason");
  w.end();
  out += "]}";
  out += kClose;
}

void StreamRenderer::append_logprobs(std::string& out, const llm::Delta& delta) {
  if (!shape_.logprobs || delta.logprobs.empty()) {
    offset(delta.choice) += characters(delta.text);  // an echoed prompt
    out += "null";
  } else if (shape_.endpoint == llm::Endpoint::kChat) {
    append_chat_logprobs(out, delta.logprobs);
  } else {
    append_text_logprobs(out, delta.logprobs, *shape_.logprobs > 0, offset(delta.choice));
  }
}

void StreamRenderer::append_delta(std::string& out, const llm::Delta& delta) {
  open_chunk(out);
  ObjectWriter w(out);
  w.integer("index", delta.choice);
  if (shape_.endpoint == llm::Endpoint::kChat) {
    ObjectWriter d(w.member("delta"));
    d.string("content", delta.text);
    d.end();
  } else {
    w.string("text", delta.text);
  }
  append_logprobs(w.member("logprobs"), delta);
  w.null("finish_reason");
  w.end();
  out += "]}";
  out += kClose;
}

void StreamRenderer::append_end(std::string& out, const llm::ChoiceEnd& end, const llm::Done* done) {
  open_chunk(out);
  ObjectWriter w(out);
  w.integer("index", end.choice);
  if (shape_.endpoint == llm::Endpoint::kChat) {
    ObjectWriter d(w.member("delta"));
    if (!end.tool_calls.is_null()) append_json(d.member("tool_calls"), with_indices(end.tool_calls));
    d.end();
  } else {
    w.string("text", "");
  }
  w.null("logprobs");
  w.string("finish_reason", llm::to_string(end.reason));
  w.end();
  out += ']';
  if (done != nullptr) append_last_members(out, *done);
  out += '}';
  out += kClose;
}

void StreamRenderer::append_last_members(std::string& out, const llm::Done& done) {
  std::string members;
  ObjectWriter w(members);
  append_report(w.member("permutation"), done.report);
  append_members(w, done.extra);
  out += ',';
  out.append(members, 1);
}

std::string StreamRenderer::chunk(const llm::Delta& delta) {
  std::string out;
  if (delta.text.empty() && delta.logprobs.empty()) return out;
  append_role(out, delta.choice);
  append_delta(out, delta);
  return out;
}

std::string StreamRenderer::chunk(llm::ChoiceEnd end) {
  std::string out;
  append_role(out, end.choice);
  if (++ended_ < shape_.n) {
    append_end(out, end, nullptr);
  } else {
    held_ = std::move(end);
  }
  return out;
}

std::string StreamRenderer::finish(llm::Done& done) {
  std::string out;
  if (!done.report.cache) done.report.cache = cache_;
  if (held_) append_end(out, *held_, shape_.include_usage ? nullptr : &done);
  if (shape_.include_usage) {
    out += head_;
    out += ",\"choices\":[],\"usage\":";
    append_usage(out, done.usage, done.report);
    append_last_members(out, done);
    out += '}';
    out += kClose;
  }
  return out + kOpen + "[DONE]" + kClose;
}

std::string StreamRenderer::failure(const base::Error& error) {
  return kOpen + error_body(error) + kClose;
}

}  // namespace pmt::api
