#include "api/json/render.h"

#include <algorithm>
#include <utility>

#include "api/json/json_writer.h"
#include "api/json/render_parts.h"
#include "base/utf8.h"

namespace pmt::api {

AnswerRenderer::AnswerRenderer(AnswerShape shape) : shape_(std::move(shape)) {}

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
  if (shape_.logprobs && delta.logprobs.empty() && c.logprobs.empty())
    c.echoed += base::characters(delta.text);
  if (shape_.echo && c.text.empty() && c.logprobs.empty()) c.echoed_tokens = delta.logprobs.size();
  if (c.text.empty()) {
    c.text = std::move(delta.text);
  } else {
    c.text += delta.text;
  }
  c.reasoning += delta.reasoning;
  c.more.add(delta.more);
  c.choice_more.add(delta.choice_more);
  for (llm::TokenLogprob& token : delta.logprobs) c.logprobs.push_back(std::move(token));
}

void AnswerRenderer::add(llm::ChoiceEnd end) {
  Choice& c = choice(end.choice);
  c.choice_more.add(end.choice_more);
  c.end = std::move(end);
}

void AnswerRenderer::append_message(std::string& out, const Choice& c) const {
  const llm::MembersText more = c.more.text();
  ObjectWriter message(out);
  message.string("role", "assistant");
  if (c.text.empty() && (!c.end->tool_calls.empty() || c.end->no_content)) {
    message.null("content");
  } else {
    message.string("content", c.text);
  }
  if (!has_member(more, "refusal")) message.null("refusal");
  if (!c.reasoning.empty()) message.string("reasoning_content", c.reasoning);
  if (!c.end->tool_calls.empty()) append_texts(message.member("tool_calls"), c.end->tool_calls);
  append_members(message, more);
  message.end();
}

void AnswerRenderer::append_logprobs(std::string& out, const Choice& c) const {
  if (!shape_.logprobs) {
    out += "null";
  } else if (shape_.endpoint == llm::Endpoint::kChat) {
    append_chat_logprobs(out, c.logprobs);
  } else {
    std::int64_t offset = c.echoed;
    append_text_logprobs(out, c.logprobs, *shape_.logprobs > 0, offset);
  }
}

void AnswerRenderer::append_choice(std::string& out, int index, const Choice& c) const {
  const bool chat = shape_.endpoint == llm::Endpoint::kChat;
  const llm::MembersText more = c.choice_more.text();
  ObjectWriter w(out);
  w.integer("index", index);
  if (chat) {
    append_message(w.member("message"), c);
  } else {
    w.string("text", c.text);
  }
  if (!has_member(more, "logprobs")) append_logprobs(w.member("logprobs"), c);
  append_reason(w, *c.end);
  append_members(w, more);
  w.end();
}

/// The mean log-probability of its tokens, as OpenAI ranks choices.
double AnswerRenderer::goodness(const Choice& choice) {
  constexpr double kImpossible = -9999;
  double sum = 0;
  const std::size_t tokens = choice.logprobs.size() - choice.echoed_tokens;
  for (std::size_t i = choice.echoed_tokens; i < choice.logprobs.size(); ++i)
    sum += std::max<double>(choice.logprobs[i].logprob.value_or(kImpossible), kImpossible);
  return tokens == 0 ? kImpossible : sum / static_cast<double>(tokens);
}

/// The best of each prompt's, best first; all of them where no more were drawn than are wanted.
std::vector<AnswerRenderer::Shown> AnswerRenderer::shown() const {
  std::vector<Shown> all;
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    if (choices_[i].end) all.push_back({static_cast<int>(i), &choices_[i]});
  }
  if (shape_.best_of <= shape_.n) return all;
  std::vector<Shown> best;
  for (auto begin = all.begin(); all.end() - begin >= shape_.best_of; begin += shape_.best_of) {
    std::stable_sort(begin, begin + shape_.best_of, [](const Shown& a, const Shown& b) {
      return goodness(*a.choice) > goodness(*b.choice);
    });
    for (auto one = begin; one != begin + shape_.n; ++one)
      best.push_back({static_cast<int>(best.size()), one->choice});
  }
  return best;
}

std::string AnswerRenderer::finish(llm::Done& done) {
  std::size_t text_bytes = 0;
  for (const Choice& c : choices_) text_bytes += c.text.size();
  std::string out;
  out.reserve(1024 + text_bytes + text_bytes / 8);
  ObjectWriter w(out);
  w.string("id", shape_.id);
  w.string("object", shape_.endpoint == llm::Endpoint::kChat ? "chat.completion" : "text_completion");
  w.integer("created", started_.created_unix_s);
  w.string("model", started_.model);
  append_fingerprint(w, started_.more);
  w.member("choices") += '[';
  bool first = true;
  for (const Shown& one : shown()) {
    if (!std::exchange(first, false)) out += ',';
    append_choice(out, one.index, *one.choice);
  }
  out += ']';
  append_usage(w.member("usage"), done.usage, done.report);
  if (!done.report.cache) done.report.cache = started_.cache;
  append_report(w.member("permutation"), done.report);
  append_members(w, joined(started_.more, done.extra));
  w.end();
  return out;
}

}  // namespace pmt::api
