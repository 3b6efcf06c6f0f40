#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "api/errors.h"
#include "api/json/json_writer.h"
#include "api/json/render.h"
#include "api/json/render_parts.h"
#include "base/json_text.h"
#include "base/utf8.h"

namespace pmt::api {
namespace {

constexpr char kOpen[] = "data: ";
constexpr char kClose[] = "\n\n";

/// A call or a piece of one, which says in a stream which it is. `members`: without braces.
void append_indexed(std::string& out, int index, std::string_view members) {
  ObjectWriter w(out);
  w.integer("index", index);
  w.members(members);
  w.end();
}

/// A piece of a local model's call.
void append_piece(std::string& out, const llm::CallPiece& piece) {
  ObjectWriter w(out);
  w.integer("index", piece.index);
  if (!piece.id.empty()) {
    w.string("id", piece.id);
    w.string("type", "function");
  }
  ObjectWriter function(w.member("function"));
  if (!piece.name.empty()) function.string("name", piece.name);
  function.string("arguments", piece.arguments);
  function.end();
  w.end();
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
  append_fingerprint(w, started.more);
  head_ = kOpen + object;
  more_ = started.more;
  cache_ = started.cache;
}

void StreamRenderer::open_chunk(std::string& out) const {
  out += head_;
  if (!more_.empty()) out.append(",").append(more_);
  if (shape_.include_usage) out += ",\"usage\":null";
  out += ",\"choices\":[";
}

StreamRenderer::Sent& StreamRenderer::sent(int choice) {
  const auto i = static_cast<std::size_t>(choice);
  if (i >= sent_.size()) sent_.resize(i + 1);
  return sent_[i];
}

void StreamRenderer::append_role(std::string& out, int index) {
  if (shape_.endpoint != llm::Endpoint::kChat || std::exchange(sent(index).role, true)) return;
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
  std::int64_t& offset = sent(delta.choice).offset;
  if (!shape_.logprobs || delta.logprobs.empty()) {
    offset += base::characters(delta.text);  // an echoed prompt
    out += "null";
  } else if (shape_.endpoint == llm::Endpoint::kChat) {
    append_chat_logprobs(out, delta.logprobs);
  } else {
    append_text_logprobs(out, delta.logprobs, *shape_.logprobs > 0, offset);
  }
}

void StreamRenderer::append_calls(std::string& out, const std::vector<llm::CallPiece>& pieces, int choice) {
  out += '[';
  for (const llm::CallPiece& piece : pieces) {
    if (&piece != pieces.data()) out += ',';
    if (piece.sent.empty()) {
      append_piece(out, piece);
    } else {
      append_indexed(out, piece.index, piece.sent);
    }
    std::size_t& calls = sent(choice).calls;
    calls = std::max(calls, static_cast<std::size_t>(piece.index) + 1);
  }
  out += ']';
}

void StreamRenderer::append_delta(std::string& out, const llm::Delta& delta) {
  open_chunk(out);
  ObjectWriter w(out);
  w.integer("index", delta.choice);
  if (shape_.endpoint == llm::Endpoint::kChat) {
    ObjectWriter d(w.member("delta"));
    if (!delta.text.empty()) d.string("content", delta.text);
    if (!delta.reasoning.empty()) d.string("reasoning_content", delta.reasoning);
    if (!delta.calls.empty()) append_calls(d.member("tool_calls"), delta.calls, delta.choice);
    append_members(d, delta.more);
    d.end();
  } else {
    w.string("text", delta.text);
  }
  if (!has_member(delta.choice_more, "logprobs")) append_logprobs(w.member("logprobs"), delta);
  w.null("finish_reason");
  append_members(w, delta.choice_more);
  w.end();
  out += "]}";
  out += kClose;
}

void StreamRenderer::append_rest(std::string& out, const std::vector<std::string>& calls, int choice) {
  const std::size_t begin = sent(choice).calls;
  out += '[';
  for (std::size_t i = begin; i < calls.size(); ++i) {
    if (i > begin) out += ',';
    append_indexed(out, static_cast<int>(i), std::string_view(calls[i]).substr(1, calls[i].size() - 2));
  }
  out += ']';
}

void StreamRenderer::append_end(std::string& out, const llm::ChoiceEnd& end, const llm::Done* done) {
  open_chunk(out);
  ObjectWriter w(out);
  w.integer("index", end.choice);
  if (shape_.endpoint == llm::Endpoint::kChat) {
    ObjectWriter d(w.member("delta"));
    if (end.tool_calls.size() > sent(end.choice).calls)
      append_rest(d.member("tool_calls"), end.tool_calls, end.choice);
    d.end();
  } else {
    w.string("text", "");
  }
  if (!has_member(end.choice_more, "logprobs")) w.null("logprobs");
  append_reason(w, end);
  append_members(w, end.choice_more);
  w.end();
  out += ']';
  if (done != nullptr) append_last_members(out, *done);
  out += '}';
  out += kClose;
}

void StreamRenderer::append_last_members(std::string& out, const llm::Done& done) const {
  std::string members;
  ObjectWriter w(members);
  append_report(w.member("permutation"), done.report);
  append_members(w, done.extra);
  out += ',';
  out.append(members, 1);
}

std::string StreamRenderer::take_held() {
  std::string out;
  if (held_) append_end(out, *std::exchange(held_, std::nullopt), nullptr);
  return out;
}

std::string StreamRenderer::chunk(const llm::Delta& delta) {
  const bool empty = delta.text.empty() && delta.logprobs.empty() && delta.reasoning.empty() &&
                     delta.calls.empty() && delta.more.empty() && delta.choice_more.empty();
  if (empty) return {};
  std::string out = take_held();
  append_role(out, delta.choice);
  append_delta(out, delta);
  return out;
}

std::string StreamRenderer::chunk(llm::ChoiceEnd end) {
  std::string out = take_held();
  append_role(out, end.choice);
  held_ = std::move(end);
  return out;
}

std::string StreamRenderer::finish(llm::Done& done) {
  std::string out;
  if (!done.report.cache) done.report.cache = cache_;
  const std::vector<base::JsonMember> last = base::members_of(done.extra);
  std::vector<std::string_view> names;
  for (const base::JsonMember& member : last) names.push_back(member.name);
  more_ = base::members_without(more_, names);
  if (held_) append_end(out, *held_, shape_.include_usage ? nullptr : &done);
  if (shape_.include_usage) {
    out += head_;
    if (!more_.empty()) out.append(",").append(more_);
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
