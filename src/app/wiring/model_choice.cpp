#include "app/wiring/model_choice.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <set>
#include <system_error>

#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/commands/report_error.h"
#include "app/config/home.h"
#include "app/wiring/catalogue.h"

namespace pmt::app {

namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> kEngineNames{"permutation", "rlm", "unified"};

std::string served_name(const fs::path& path) {
  std::error_code ignored;  // an absent file has no catalogue size
  const auto bytes = static_cast<std::int64_t>(fs::file_size(path, ignored));
  for (const CatalogueModel& known : catalogue()) {
    if (path.filename() == known.file && bytes == known.bytes) return std::string(known.name);
  }
  std::string name = path.stem().string();
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
}

base::Result<std::string> catalogue_path(const std::string& name) {
  const CatalogueModel* known = find_in_catalogue(name);
  if (known == nullptr) {
    std::vector<std::string_view> names;
    for (const CatalogueModel& model : catalogue()) {
      if (model.kind == ModelKind::kWrites) names.push_back(model.name);
    }
    return base::Error{
        base::Code::kNotFound,
        fmt::format("no model \"{}\" in the catalogue, which has: {}. Or give a file: ./{}.gguf", name,
                    fmt::join(names, ", "), name)};
  }
  if (known->kind != ModelKind::kWrites) {
    return base::invalid(fmt::format("the model {} makes embeddings, it doesn't write: leave it out, POST "
                                     "/v1/embeddings serves it by itself ([embeddings] in the config file)",
                                     name),
                         "name");
  }
  if (!is_installed(*known)) {
    return base::Error{
        base::Code::kNotFound,
        fmt::format("the model {0} isn't installed (looked for {1}). Run: permutation models pull {0}", name,
                    installed_path(*known).string())};
  }
  return installed_path(*known).string();
}

}  // namespace

ModelConfig model_from_spec(const std::string& spec) {
  ModelConfig model;
  const bool is_path = spec.find('/') != std::string::npos || spec.ends_with(".gguf");
  (is_path ? model.path : model.name) = spec;
  return model;
}

ModelConfig default_model_config() {
  return {.name = std::string(default_model().name)};
}

base::Result<inference::LocalModelOptions> resolve_model(const ModelConfig& model) {
  inference::LocalModelOptions options;
  if (model.path.empty()) {
    TRY_ASSIGN(options.path, catalogue_path(model.name));
  } else {
    options.path = model.path;
  }
  options.name = model.name.empty() ? served_name(model.path) : model.name;
  options.threads = model.threads;
  options.kv_bytes_max = model.kv_bytes;
  options.prefill_chunk_tokens = model.prefill_chunk_tokens;
  options.sequences_max = model.sequences_max;
  options.queue_max = model.queue_max;
  options.prefix_bytes_max = model.prefix_bytes;
  options.kv_ratio = model.kv_ratio;
  options.calibration_path = calibration_path(options.path);
  options.on_calibration_progress = [name = options.name, shown = -1](float done) mutable {
    const int tenths = static_cast<int>(done * 10);
    if (std::exchange(shown, tenths) == tenths) return;
    tell("calibrating {} for KV compression, once: {} %\n", name, tenths * 10);
  };
  options.on_warning = [](const std::string& what) { tell("permutation: {}\n", what); };
  return options;
}

base::Result<std::vector<inference::LocalModelOptions>> resolve_models(
    const std::vector<ModelConfig>& models) {
  std::vector<ModelConfig> wanted = models;
  if (wanted.empty()) wanted.push_back(default_model_config());
  std::vector<inference::LocalModelOptions> resolved;
  std::set<std::string> names(kEngineNames.begin(), kEngineNames.end());
  for (const ModelConfig& model : wanted) {
    TRY_ASSIGN(inference::LocalModelOptions options, resolve_model(model));
    if (!names.insert(options.name).second) {
      return base::invalid(
          fmt::format("two models named \"{}\" (or it is an engine's name: {}). Give one another "
                      "`name` in the config file",
                      options.name, fmt::join(kEngineNames, ", ")),
          "name");
    }
    resolved.push_back(std::move(options));
  }
  return resolved;
}

base::Result<inference::LocalEmbedderOptions> resolve_embedder(const EmbeddingsConfig& config) {
  inference::LocalEmbedderOptions options{
      .name = config.name, .path = config.path, .threads = config.threads};
  if (!options.path.empty()) {
    std::error_code ignored;
    if (!fs::is_regular_file(options.path, ignored)) {
      return base::Error{base::Code::kNotFound,
                         fmt::format("no such file: {} ([embeddings] path)", options.path)};
    }
    if (options.name.empty()) options.name = served_name(options.path);
    return options;
  }
  const CatalogueModel& known = default_embedder();
  if (!is_installed(known)) {
    return base::Error{
        base::Code::kNotFound,
        fmt::format("the model {0} isn't installed (looked for {1}). Run: permutation models pull {0}",
                    known.name, installed_path(known).string())};
  }
  options.path = installed_path(known).string();
  if (options.name.empty()) options.name = known.name;
  return options;
}

}  // namespace pmt::app
