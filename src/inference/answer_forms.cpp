#include "inference/answer_forms.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include "inference/tool_call_sink.h"
#include "model/marker_grammar.h"

namespace pmt::inference {
namespace {

/// Adds to the report what isn't followed of the request's schemas.
class NotesSink final : public llm::Sink {
 public:
  NotesSink(std::shared_ptr<llm::Sink> sink, std::vector<std::string> unfollowed)
      : sink_(std::move(sink)), unfollowed_(std::move(unfollowed)) {}

  void on_event(llm::Event event) override {
    if (auto* done = std::get_if<llm::Done>(&event)) done->report.unfollowed = unfollowed_;
    sink_->on_event(std::move(event));
  }

 private:
  const std::shared_ptr<llm::Sink> sink_;
  const std::vector<std::string> unfollowed_;
};

}  // namespace

AnswerForms::AnswerForms(const model::Vocab& vocab)
    : vocab_(vocab),
      thinks_(vocab.chat_template() && vocab.chat_template()->find("</think>") != std::string::npos) {}

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

void AnswerForms::allow_thinking(const llm::Request& request, std::span<const std::int32_t> prompt,
                                 StructuredOutput& structure) const {
  if (!thinks_ || request.endpoint != llm::Endpoint::kChat) return;
  std::string end;
  for (const std::int32_t token : prompt.last(std::min<std::size_t>(prompt.size(), 8)))
    end += vocab_.piece(token, {.name_special = true});
  while (!end.empty() && std::isspace(static_cast<unsigned char>(end.back())) != 0) end.pop_back();
  const bool begun = end.ends_with("<think>");
  structure.rules.thinking = begun && (structure.grammar.empty() || structure.calls);
  constexpr std::string_view kRoot = "root ::= tagged";
  if (!structure.required || !structure.grammar.starts_with(kRoot)) return;
  const std::string thought = "any-0 \"</think>\" [ \\n]{0,4}";
  structure.grammar.replace(
      0, kRoot.size(),
      begun ? "root ::= " + thought + " tagged" : "root ::= (\"<think>\" " + thought + ")? tagged");
  structure.grammar += model::text_without({"</think>"});
}

base::Status AnswerForms::add_form(const StructuredOutput& structure,
                                   const std::optional<model::NativePrompt>& native, Job& job) {
  if (structure.grammar.empty()) return {};
  job.form_field = structure.field;
  auto form = form_of(structure.grammar, job.shown, native && !native->tagged ? native->before : "");
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
  if (native && !native->tagged)
    return make_native_call_sink(std::move(sink), request.id, structure.rules, native->reader);
  if (structure.calls || (thinks_ && request.endpoint == llm::Endpoint::kChat))
    return make_tool_call_sink(std::move(sink), request.id, structure.rules);
  return sink;
}

}  // namespace pmt::inference
