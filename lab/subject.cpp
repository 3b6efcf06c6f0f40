#include "lab/subject.h"

#include <utility>

#include <fmt/format.h>

#include "engine/catalogue.h"
#include "engine/model_files.h"
#include "engine/shipped_calibration.h"
#include "text/plain_words.h"

namespace pmt::lab {

namespace {

base::Result<std::unique_ptr<engine::LocalEngine>> open_engine(const std::string& model,
                                                               const std::string& root,
                                                               const base::Clock& clock) {
  const std::string spec = model.empty() ? std::string(engine::default_model().name) : model;
  TRY_ASSIGN(const auto writes, engine::find_model(engine::model_from_spec(spec)));
  TRY_ASSIGN(const auto embeds, engine::find_embedder({}));
  inference::LocalModelOptions options{.name = writes.name, .path = writes.path, .threads = 1};
  engine::find_calibration(options);
  options.on_warning = progress;
  return engine::LocalEngine::open(
      {.models = {std::move(options)},
       .embedder = inference::LocalEmbedderOptions{.name = embeds.name, .path = embeds.path, .threads = 1},
       .knowledge = engine::KnowledgeOptions{.root = root, .bank = {.with_common = false}}},
      clock);
}

}  // namespace

std::unique_ptr<Subject> Subject::load(const std::string& model, const std::string& root, bool gates_only) {
  auto out = std::make_unique<Subject>();
  auto opened = open_engine(model, root, out->clock_);
  if (!opened) {
    progress(opened.error().message);
    return nullptr;
  }
  out->engine_ = std::move(*opened);
  if (gates_only)
    out->gates_ = std::make_unique<knowledge_cache::RecallingCompleter>(
        out->echo_, out->library(), out->clock_,
        knowledge_cache::RecallingCompleter::Options{engine::embed_later(out->engine_->embedder())});
  return out;
}

Answer Subject::ask(const std::vector<std::string>& turns, bool with_knowledge, const Asking& how) {
  llm::Request request;
  request.id = "eval";
  request.sampling.temperature = 0;
  request.max_tokens = how.tokens;
  if (how.kv_ratio > 1) {
    request.kv = {how.kv_ratio, llm::KvMode::kQueryAware};  // auto leaves short prompts exact
    request.speculation = llm::Speculation::kPromptLookup;
  }
  if (how.raw || !chats()) {
    request.endpoint = llm::Endpoint::kCompletions;
    request.prompt = how.raw ? turns.back() : fmt::format("Question: {}\nAnswer:", turns.back());
  } else {
    for (std::size_t i = 0; i < turns.size(); ++i) {
      request.messages.push_back({.role = i % 2 == 0 ? "user" : "assistant",
                                  .content = turns[i],
                                  .name = {},
                                  .tool_calls = {},
                                  .tool_call_id = {}});
    }
  }
  if (with_knowledge) {
    for (const auto& domain : library().list()) request.knowledge.push_back(domain.name);
  }
  const auto sink = std::make_shared<llm::CollectingSink>();
  llm::Completer& completer = gates_ ? static_cast<llm::Completer&>(*gates_) : taught().completer();
  completer.start(std::move(request), sink, {});
  Answer out;
  for (const llm::Event& event : sink->wait()) {
    if (const auto* delta = std::get_if<llm::Delta>(&event)) out.text += delta->text;
    if (const auto* failed = std::get_if<llm::Failed>(&event))
      fmt::print(stderr, "failed: {}\n", failed->error.message);
    const auto* done = std::get_if<llm::Done>(&event);
    if (done == nullptr) continue;
    if (done->report.knowledge) out.facts = done->report.knowledge->facts;
    if (done->report.kv) out.kv_ratio = done->report.kv->ratio_achieved;
  }
  return out;
}

bool exact(const Answer& answer, const std::string& wanted) {
  const auto first = answer.text.find_first_not_of(" \n");
  return first != std::string::npos &&
         text::lower(answer.text.substr(first)).rfind(text::lower(wanted), 0) == 0;
}

bool holds(const Answer& answer, const std::string& wanted) {
  return text::lower(answer.text).find(text::lower(wanted)) != std::string::npos;
}

}  // namespace pmt::lab
