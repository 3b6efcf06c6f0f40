// What one model was taught, opened: its packs' folder, its digest, its words, the embedder.
// Thread-safety: any thread. Cost: reads the model's file once for its digest.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "inference/local_model.h"
#include "knowledge_cache/library.h"
#include "knowledge_cache/recalling_completer.h"
#include "llm/embedder.h"

namespace pmt::engine {

/// The same for every model of a process.
struct KnowledgeOptions {
  std::string root = {};  // of all models' packs; "": knowledge/ in the home
  knowledge_cache::BankOptions bank = {};
};

/// What is taught is embedded by `embedder`; without one it is recalled word for word only.
struct Learner {
  const inference::LocalModel* model = nullptr;  // whose words are common and rare; null: none is
  llm::Embedder* embedder = nullptr;
  std::string embedder_name = {};
};

/// `learner`'s parts must outlive the library; without any it can list, show, forget and export. Errors: kIo,
/// the model's file or the folder can't be read.
base::Result<std::unique_ptr<knowledge_cache::Library>> open_knowledge(const std::string& model_name,
                                                                       const std::string& model_path,
                                                                       const KnowledgeOptions& options,
                                                                       const Learner& learner,
                                                                       const base::Clock& clock);

/// The embedder as the gate in front of a model asks it. Null for null.
knowledge_cache::EmbedLater embed_later(llm::Embedder* embedder);

}  // namespace pmt::engine
