#include "api/json/render.h"

#include <utility>

#include "api/json/json_writer.h"
#include "api/json/render_parts.h"

namespace pmt::api {

AnswerRenderer::AnswerRenderer(AnswerShape shape) : shape_(std::move(shape)) {
  choices_.resize(static_cast<std::size_t>(shape_.n));
}

AnswerRenderer::Choice& AnswerRenderer::choice(int index) {
  const auto i = static_cast<std::size_t>(index);
  if (i >= choices_.size()) choices_.resize(i + 1);
  return choices_[i];
}

void AnswerRenderer::add(llm::Started started) {
  started_ = std::move(started);
}

void AnswerRenderer::add(llm::Delta delta) {
  Choice& c = choice(delta.choice);
  if (shape_.logprobs && delta.logprobs.empty() && c.logprobs.empty()) c.echoed += characters(delta.text);
  if (c.text.empty()) {
    c.text = std::move(delta.text);
  } else {
    c.text += delta.text;
  }
  for (llm::TokenLogprob& token : delta.logprobs) c.logprobs.push_back(std::move(token));
}

void AnswerRenderer::add(llm::ChoiceEnd end) {
  Choice& c = choice(end.choice);
  c.reason = end.reason;
  c.tool_calls = std::move(end.tool_calls);
}

void AnswerRenderer::append_choice(std::string& out, int index, const Choice& c) const {
  const bool chat = shape_.endpoint == llm::Endpoint::kChat;
  ObjectWriter w(out);
  w.integer("index", index);
  if (chat) {
    ObjectWriter message(w.member("message"));
    message.string("role", "assistant");
    if (c.text.empty() && !c.tool_calls.is_null()) {
      message.null("content");
    } else {
      message.string("content", c.text);
    }
    message.null("refusal");
    if (!c.tool_calls.is_null()) append_json(message.member("tool_calls"), c.tool_calls);
    message.end();
  } else {
    w.string("text", c.text);
  }
  if (!shape_.logprobs) {
    w.null("logprobs");
  } else if (chat) {
    append_chat_logprobs(w.member("logprobs"), c.logprobs);
  } else {
    std::int64_t offset = c.echoed;
    append_text_logprobs(w.member("logprobs"), c.logprobs, *shape_.logprobs > 0, offset);
  }
  w.string("finish_reason", llm::to_string(c.reason));
  w.end();
}

std::string AnswerRenderer::finish(llm::Done& done) const {
  std::size_t text_bytes = 0;
  for (const Choice& c : choices_) text_bytes += c.text.size();
  std::string out;
  out.reserve(1024 + text_bytes + text_bytes / 8);
  ObjectWriter w(out);
  w.string("id", shape_.id);
  w.string("object", shape_.endpoint == llm::Endpoint::kChat ? "chat.completion" : "text_completion");
  w.integer("created", started_.created_unix_s);
  w.string("model", started_.model);
  w.string("system_fingerprint", system_fingerprint());
  w.member("choices") += '[';
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    if (i > 0) out += ',';
    append_choice(out, static_cast<int>(i), choices_[i]);
  }
  out += ']';
  append_usage(w.member("usage"), done.usage, done.report);
  if (!done.report.cache) done.report.cache = started_.cache;
  append_report(w.member("permutation"), done.report);
  append_members(w, done.extra);
  w.end();
  return out;
}

}  // namespace pmt::api
