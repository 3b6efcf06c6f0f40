#include "forgetting_subject.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/format.h>

namespace pmt::bench {

std::unique_ptr<Subject> Subject::load(const std::string& model, const std::string& root, bool gates_only) {
  auto out = std::make_unique<Subject>();
  auto wanted = app::resolve_models(model.empty() ? std::vector<app::ModelConfig>{}
                                                  : std::vector{app::model_from_spec(model)});
  auto embedder = app::resolve_embedder({});
  if (!wanted || !embedder) {
    fmt::print(stderr, "{}\n", (!wanted ? wanted.error() : embedder.error()).message);
    return nullptr;
  }
  (*wanted)[0].threads = embedder->threads = 1;
  auto loaded = inference::LocalModel::load((*wanted)[0], out->clock_);
  if (!loaded) {
    fmt::print(stderr, "{}\n", loaded.error().message);
    return nullptr;
  }
  out->embedder_ = inference::LocalEmbedder::create(*embedder, out->clock_);
  out->model_ = std::move(*loaded);
  auto library = app::open_knowledge({.model_name = (*wanted)[0].name,
                                      .model_path = (*wanted)[0].path,
                                      .model = out->model_.get(),
                                      .embedder = out->embedder_.get(),
                                      .embedder_name = out->embedder_->name(),
                                      .root = root,
                                      .bank = {.with_common = false}},
                                     out->clock_);
  if (!library) {
    fmt::print(stderr, "{}\n", library.error().message);
    return nullptr;
  }
  out->library_ = std::move(*library);
  out->completer_ = std::make_unique<knowledge_cache::RecallingCompleter>(
      gates_only ? static_cast<llm::Completer&>(out->echo_) : *out->model_, *out->library_, out->clock_,
      knowledge_cache::RecallingCompleter::Options{app::embed_later(out->embedder_.get())});
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
    for (const auto& domain : library_->list()) request.knowledge.push_back(domain.name);
  }
  const auto sink = std::make_shared<llm::CollectingSink>();
  completer_->start(std::move(request), sink, {});
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

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool exact(const Answer& answer, const std::string& wanted) {
  const auto first = answer.text.find_first_not_of(" \n");
  return first != std::string::npos && lower(answer.text.substr(first)).rfind(lower(wanted), 0) == 0;
}

bool holds(const Answer& answer, const std::string& wanted) {
  return lower(answer.text).find(lower(wanted)) != std::string::npos;
}

}  // namespace pmt::bench
