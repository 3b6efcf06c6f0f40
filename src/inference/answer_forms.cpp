#include "inference/answer_forms.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/format.h>

#include "inference/tool_call_sink.h"
#include "model/marker_grammar.h"
#include "model/schema_grammar.h"

namespace pmt::inference {
namespace {

/// Adds to the report what isn't followed of the request's schemas.
class NotesSink final : public llm::Sink {
 public:
  NotesSink(std::shared_ptr<llm::Sink> sink, std::vector<std::string> unfollowed)
      : sink_(std::move(sink)), unfollowed_(std::move(unfollowed)) {}

  void on_event(llm::Event&& event) override {
    if (auto* done = std::get_if<llm::Done>(&event)) done->report.unfollowed = unfollowed_;
    sink_->on_event(std::move(event));
  }

 private:
  const std::shared_ptr<llm::Sink> sink_;
  const std::vector<std::string> unfollowed_;
};

/// Of the prompt's end, so many are looked at for a tag: a byte each at worst.
constexpr std::size_t kTagTokensMax = 64;

/// Whether the answer is read by llama.cpp's parser.
bool is_read_natively(const std::optional<model::NativePrompt>& native) {
  return native && !native->tagged;
}

}  // namespace

AnswerForms::AnswerForms(const model::Vocab& vocab, std::optional<model::ThinkingStyle> style)
    : vocab_(vocab), style_(std::move(style)) {
  if (!style_) return;
  // In a notation of channels nothing stands between them.
  const std::string closing = style_->plain ? "\n" + style_->close + "\n\n" : style_->close;
  closing_ = vocab_.tokenize(closing, {.parse_special = true});
}

bool AnswerForms::has_form(const llm::Request& request) {
  return !request.tools.empty() || !request.response_format.is_free();
}

base::Result<StructuredOutput> AnswerForms::read(const llm::Request& request) {
  const bool form = has_form(request);
  asked_ += form ? 1 : 0;
  auto structure = structured_output(request);
  refused_ += form && !structure ? 1 : 0;
  return structure;
}

void AnswerForms::add_to(EngineStats& stats) const {
  stats.forms = asked_;
  stats.forms_found = found_;
  stats.forms_refused = refused_;
}

/// At its beginning, ready for the scheduler's thread to copy.
base::Result<model::Grammar> AnswerForms::form_of(const std::string& gbnf,
                                                  const std::vector<std::int32_t>& shown,
                                                  const std::string& before) {
  TRY_ASSIGN(model::KeptGrammar kept, model::read_grammar(gbnf));
  found_ += kept.found ? 1 : 0;
  TRY_ASSIGN(model::Grammar grammar, model::Grammar::create(std::move(kept.rules), tokens_with(shown)));
  if (!before.empty()) TRY(grammar.accept_text(before));
  return grammar;
}

/// All forms' index; where control tokens are shown, those of the last notation are kept.
std::shared_ptr<const model::TokenIndex> AnswerForms::tokens_with(const std::vector<std::int32_t>& shown) {
  const std::lock_guard lock(indexes_);
  auto& index = shown.empty() ? tokens_ : shown_tokens_;
  if (index == nullptr || (!shown.empty() && shown != shown_))
    index = model::TokenIndex::create(vocab_, shown);
  if (!shown.empty()) shown_ = shown;
  return index;
}

Thinking AnswerForms::thinking_of(const llm::Request& request, std::span<const std::int32_t> prompt,
                                  const std::optional<model::NativePrompt>& native) const {
  if (!style_ || style_->close.empty() || request.endpoint != llm::Endpoint::kChat) return {};
  if (!style_->plain && !is_read_natively(native)) return {};  // it is asked for the answer's text alone
  Thinking out{.open = style_->open, .close = style_->close, .anywhere = !style_->plain, .closing = closing_};
  out.budget_tokens = request.thinking.off() ? std::optional(0) : request.thinking.budget_tokens;
  std::string end;
  for (const std::int32_t token : prompt.last(std::min<std::size_t>(prompt.size(), kTagTokensMax)))
    end += vocab_.piece(token, {.name_special = true});
  while (!end.empty() && std::isspace(static_cast<unsigned char>(end.back())) != 0) end.pop_back();
  out.begun = end.ends_with(out.open);
  return out;
}

void AnswerForms::allow_thinking(const Thinking& thinking, const std::optional<model::NativePrompt>& native,
                                 StructuredOutput& structure) const {
  if (thinking.close.empty()) return;
  structure.rules.thinking = thinking.begun;
  structure.rules.open = thinking.open;
  structure.rules.close = thinking.close;
  const bool none = thinking.budget_tokens == 0 && !thinking.begun;
  if (structure.grammar.empty() || is_read_natively(native) || none) return;
  const std::string thought = fmt::format("thought-0 {} [ \\n]{{0,4}}", model::gbnf_literal(thinking.close));
  const std::string root =
      thinking.begun ? thought : fmt::format("({} {})?", model::gbnf_literal(thinking.open), thought);
  structure.grammar = fmt::format("{}\nroot ::= {} the-answer\n{}",
                                  model::rule_renamed(structure.grammar, "root", "the-answer"), root,
                                  model::text_without({thinking.close}, "thought"));
}

std::vector<std::int32_t> AnswerForms::shown(const std::optional<model::NativePrompt>& native) const {
  std::vector<std::int32_t> out;
  if (style_) out = style_->shown;
  if (is_read_natively(native)) out.insert(out.end(), native->shown.begin(), native->shown.end());
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

base::Status AnswerForms::add_form(const StructuredOutput& structure,
                                   const std::optional<model::NativePrompt>& native, Job& job) {
  if (structure.grammar.empty()) return {};
  job.form_field = structure.field;
  auto form = form_of(structure.grammar, job.shown, is_read_natively(native) ? native->before : "");
  refused_ += form ? 0 : 1;
  if (!form) return of_field(form.error(), job.form_field);
  job.grammar = std::move(*form);
  return {};
}

std::shared_ptr<llm::Sink> AnswerForms::sink_of(const llm::Request& request, std::shared_ptr<llm::Sink> sink,
                                                const StructuredOutput& structure,
                                                const std::optional<model::NativePrompt>& native) const {
  if (!structure.unfollowed.empty())
    sink = std::make_shared<NotesSink>(std::move(sink), structure.unfollowed);
  if (is_read_natively(native))
    return make_native_call_sink(std::move(sink), request.id, structure.rules, native->reader);
  if (structure.calls || (style_ && request.endpoint == llm::Endpoint::kChat))
    return make_tool_call_sink(std::move(sink), request.id, structure.rules);
  return sink;
}

}  // namespace pmt::inference
