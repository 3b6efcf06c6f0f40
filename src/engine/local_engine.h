// The local models of a process, opened in one place: each with what it was taught in front of it, and the
// embedder that all of them share. A server, a command and an evaluation ask the same thing, so what is measured
// is what is served.
//
//   request -> TaughtModel::completer() = RecallingCompleter -> LocalModel
//                                              | names a taught thing, then an embedding
//                                              v
//                                         Library, LocalEmbedder
//
// Thread-safety: opened and closed by one thread; what it hands out is asked from any. Errors: as each part's;
// nothing is left running. Cost: the models' loading; the embedder is loaded by its first text.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/usage_counter.h"
#include "engine/knowledge.h"
#include "inference/local_embedder.h"
#include "inference/local_model.h"
#include "knowledge_cache/library.h"
#include "knowledge_cache/recalling_completer.h"

namespace pmt::engine {

/// A model and what it was taught.
struct TaughtModel {
  std::string name;  // as served
  std::unique_ptr<inference::LocalModel> model;
  std::unique_ptr<knowledge_cache::Library> library;  // null without knowledge, as the next
  std::unique_ptr<knowledge_cache::RecallingCompleter> recalling;

  llm::Completer& completer() const { return recalling ? static_cast<llm::Completer&>(*recalling) : *model; }
};

struct LocalEngineOptions {
  std::vector<inference::LocalModelOptions> models = {};
  std::optional<inference::LocalEmbedderOptions> embedder = {};  // unset: none
  std::optional<KnowledgeOptions> knowledge = {};                // unset: the models are asked as they are
  base::UsageCounter* knowledge_usage = nullptr;                 // counts facts recalled, by surface
  /// Others are answered while something is learnt: learning has an embedder of its own, which gives way.
  bool answers_while_learning = false;
  std::function<void(const inference::LocalModelOptions&)> on_loading = {};
  std::function<void(const TaughtModel&, double load_ms)> on_opened = {};
};

class LocalEngine {
 public:
  static base::Result<std::unique_ptr<LocalEngine>> open(LocalEngineOptions options,
                                                         const base::Clock& clock);
  ~LocalEngine();
  LocalEngine(const LocalEngine&) = delete;
  LocalEngine& operator=(const LocalEngine&) = delete;

  /// In the options' order. Empty once they are closed.
  const std::vector<TaughtModel>& models() const { return models_; }
  /// Null: none of that name.
  const TaughtModel* find(std::string_view name) const;
  inference::LocalEmbedder* embedder() const { return embedder_.get(); }

  /// What waits for an embedding goes on without one. Idempotent, as the next.
  void stop_embedding();
  /// Ends what the models run. Their libraries and completers stay, for those who still hold them.
  void close_models();

 private:
  LocalEngine() = default;
  base::Status open_model(inference::LocalModelOptions model, const LocalEngineOptions& options,
                          const base::Clock& clock);

  std::unique_ptr<inference::LocalEmbedder> embedder_;
  std::unique_ptr<inference::LocalEmbedder> learner_;  // its twin; null: the same one learns
  std::vector<TaughtModel> models_, closed_;
};

}  // namespace pmt::engine
