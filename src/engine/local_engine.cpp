#include "engine/local_engine.h"

#include <algorithm>
#include <utility>

namespace pmt::engine {
namespace {

/// Smaller models answer worse from several passages that were read apart (note 0046), and their yes is no more likely
/// where a fact answers than where it doesn't (note 0055).
constexpr std::int64_t kPacksParametersMin = 1'000'000'000, kJudgesParametersMin = 1'000'000'000;

}  // namespace

base::Result<std::unique_ptr<LocalEngine>> LocalEngine::open(LocalEngineOptions options,
                                                             const base::Clock& clock) {
  std::unique_ptr<LocalEngine> engine(new LocalEngine());
  if (options.embedder) {
    engine->embedder_ = inference::LocalEmbedder::create(*options.embedder, clock);
    if (options.answers_while_learning) {
      inference::LocalEmbedderOptions twin = *options.embedder;
      twin.gives_way = true;
      engine->learner_ = inference::LocalEmbedder::create(std::move(twin), clock);
    }
  }
  for (inference::LocalModelOptions& model : options.models)
    TRY(engine->open_model(std::move(model), options, clock));
  return engine;
}

base::Status LocalEngine::open_model(inference::LocalModelOptions model, const LocalEngineOptions& options,
                                     const base::Clock& clock) {
  if (options.on_loading) options.on_loading(model);
  const base::Nanos begin = clock.now();
  TaughtModel opened;
  TRY_ASSIGN(opened.model, inference::LocalModel::load(std::move(model), clock));
  const double load_ms = base::ms_between(begin, clock.now());
  opened.name = opened.model->info().name;
  if (options.knowledge) {
    TRY_ASSIGN(opened.library, open_knowledge(opened.name, opened.model->info().path, *options.knowledge,
                                              {.model = opened.model.get(),
                                               .embedder = learner_ ? learner_.get() : embedder_.get(),
                                               .embedder_name = embedder_ ? embedder_->name() : ""},
                                              clock));
    opened.recalling = std::make_unique<knowledge_cache::RecallingCompleter>(
        *opened.model, *opened.library, clock,
        knowledge_cache::RecallingCompleter::Options{
            .embed = embed_later(embedder_.get()),
            .usage = options.knowledge_usage,
            .model = opened.name,
            .documents = opened.model->info().parameters >= kPacksParametersMin
                             ? knowledge_cache::DocumentUse::kPacks
                             : knowledge_cache::DocumentUse::kAuto,
            .judges = opened.model->info().parameters >= kJudgesParametersMin});
  }
  models_.push_back(std::move(opened));
  if (options.on_opened) options.on_opened(models_.back(), load_ms);
  return {};
}

LocalEngine::~LocalEngine() {
  stop_embedding();
  close_models();
}

const TaughtModel* LocalEngine::find(std::string_view name) const {
  const auto found = std::ranges::find(models_, name, &TaughtModel::name);
  return found == models_.end() ? nullptr : &*found;
}

void LocalEngine::stop_embedding() {
  if (learner_) learner_->stop();
  if (embedder_) embedder_->stop();
}

/// The models go before what wraps them: a model that goes ends its requests, and the wrappers hear of it.
void LocalEngine::close_models() {
  for (TaughtModel& taught : models_) {
    taught.model.reset();
    closed_.push_back(std::move(taught));
  }
  models_.clear();
}

}  // namespace pmt::engine
