#include "engine/knowledge.h"

#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/file_digest.h"
#include "engine/home.h"

namespace pmt::engine {

namespace {

std::vector<llm::EmbedInput> inputs_of(const std::vector<std::string>& texts) {
  std::vector<llm::EmbedInput> inputs;
  inputs.reserve(texts.size());
  for (const std::string& text : texts) inputs.push_back({.text = text, .cut = true});
  return inputs;
}

}  // namespace

base::Result<std::unique_ptr<knowledge_cache::Library>> open_knowledge(const std::string& model_name,
                                                                       const std::string& model_path,
                                                                       const KnowledgeOptions& options,
                                                                       const Learner& learner,
                                                                       const base::Clock& clock) {
  knowledge_cache::LibraryOptions library;
  TRY_ASSIGN(const base::Digest digest, base::digest_of_file(model_path));
  library.model = digest.hex();
  const std::string root = options.root.empty() ? (home_dir() / "knowledge").string() : options.root;
  library.folder = root + "/" + model_name;
  library.model_name = model_name;
  library.bank = options.bank;
  library.embedder = learner.embedder_name;
  const char* const suffix = options.bank.with_common ? ".relations" : ".held-out.relations";
  library.space_path = (home_dir() / "calibrations" / (learner.embedder_name + suffix)).string();
  if (learner.model != nullptr) {
    library.rarity = [model = learner.model](std::string_view word) { return model->word_rarity(word); };
  } else {
    library.rarity = [](std::string_view) { return 0.0; };
  }
  if (learner.embedder != nullptr) {
    library.embed = [embedder = learner.embedder](
                        const std::vector<std::string>& texts) -> base::Result<std::vector<float>> {
      TRY_ASSIGN(auto embedded, embedder->embed(inputs_of(texts)));
      return std::move(embedded.values);
    };
  }
  library.on_warning = [](const std::string& text) { spdlog::warn("knowledge: {}", text); };
  library.on_calibration_progress = [shown = -1](float done) mutable {
    const int quarters = static_cast<int>(done * 4);
    if (std::exchange(shown, quarters) != quarters)
      spdlog::info("knowledge: calibrating what the same question in other words is, once: {} %",
                   quarters * 25);
  };
  return knowledge_cache::Library::open(std::move(library), clock);
}

knowledge_cache::EmbedLater embed_later(llm::Embedder* embedder) {
  if (embedder == nullptr) return {};
  return [embedder](const std::vector<std::string>& texts, base::CancelToken cancel, auto done) {
    embedder->embed_async(inputs_of(texts), std::move(cancel),
                          [done = std::move(done)](base::Result<llm::Embeddings> embedded) {
                            if (!embedded) return done(embedded.error());
                            done(std::move(embedded->values));
                          });
  };
}

}  // namespace pmt::engine
