#include "app/wiring/knowledge_setup.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "app/config/home.h"
#include "base/hash.h"

namespace pmt::app {

namespace {

base::Result<std::string> digest_of_file(const std::string& path) {
  const auto failed = [&] {
    return base::Error{base::Code::kIo, fmt::format("can't read {}: {}", path, std::strerror(errno))};
  };
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return failed();
  struct stat info {};
  const bool known = ::fstat(file, &info) == 0 && info.st_size > 0;
  const auto bytes = static_cast<std::size_t>(info.st_size);
  void* data = known ? ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0) : MAP_FAILED;
  ::close(file);
  if (data == MAP_FAILED) return failed();
  std::string digest = base::sha256({static_cast<const char*>(data), bytes}).hex();
  ::munmap(data, bytes);
  return digest;
}

std::vector<llm::EmbedInput> inputs_of(const std::vector<std::string>& texts) {
  std::vector<llm::EmbedInput> inputs;
  inputs.reserve(texts.size());
  for (const std::string& text : texts) inputs.push_back({.text = text, .tokens = {}});
  return inputs;
}

}  // namespace

base::Result<std::unique_ptr<knowledge_cache::Library>> open_knowledge(const KnowledgeSetup& setup,
                                                                       const base::Clock& clock) {
  knowledge_cache::LibraryOptions options;
  TRY_ASSIGN(options.model, digest_of_file(setup.model_path));
  const std::string root = setup.root.empty() ? (home_dir() / "knowledge").string() : setup.root;
  options.folder = root + "/" + setup.model_name;
  options.model_name = setup.model_name;
  options.bank = setup.bank;
  options.embedder = setup.embedder_name;
  options.space_path =
      (home_dir() / "calibrations" /
       (setup.embedder_name + (setup.bank.with_common ? ".relations" : ".held-out.relations")))
          .string();
  if (setup.model != nullptr) {
    options.rarity = [model = setup.model](std::string_view word) { return model->word_rarity(word); };
  } else {
    options.rarity = [](std::string_view) { return 0.0; };
  }
  if (setup.embedder != nullptr) {
    options.embed = [embedder = setup.embedder](
                        const std::vector<std::string>& texts) -> base::Result<std::vector<float>> {
      TRY_ASSIGN(auto embedded, embedder->embed(inputs_of(texts)));
      return std::move(embedded.values);
    };
  }
  options.on_warning = [](const std::string& text) { spdlog::warn("knowledge: {}", text); };
  options.on_calibration_progress = [shown = -1](float done) mutable {
    const int quarters = static_cast<int>(done * 4);
    if (std::exchange(shown, quarters) != quarters)
      spdlog::info("knowledge: calibrating what the same question in other words is, once: {} %",
                   quarters * 25);
  };
  return knowledge_cache::Library::open(std::move(options), clock);
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

}  // namespace pmt::app
