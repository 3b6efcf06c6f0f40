// The knowledge cache of a local model, wired: its packs' folder, its digest, its words, the embedder.
// Thread-safety: any thread. Cost: reads the model's file once for its digest (0.1 s for 100 MB).
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "inference/local_model.h"
#include "knowledge_cache/library.h"
#include "knowledge_cache/recalling_completer.h"
#include "llm/embedder.h"

namespace pmt::app {

struct KnowledgeSetup {
  std::string model_name, model_path;
  const inference::LocalModel* model = nullptr;  // null: to list, show, forget and export only
  llm::Embedder* embedder = nullptr;             // of what is taught; null: recalled word for word only
  std::string embedder_name = {};
  std::string root = {};  // of all models' packs; "": the home's
  knowledge_cache::BankOptions bank = {};
};

/// `setup.model` and `setup.embedder` must outlive the library.
base::Result<std::unique_ptr<knowledge_cache::Library>> open_knowledge(const KnowledgeSetup& setup,
                                                                       const base::Clock& clock);

/// The embedder as the gate in front of a model asks it. Null for null.
knowledge_cache::EmbedLater embed_later(llm::Embedder* embedder);

}  // namespace pmt::app
