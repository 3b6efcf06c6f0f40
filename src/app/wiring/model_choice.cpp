#include "app/wiring/model_choice.h"

#include <array>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/commands/report_error.h"
#include "base/file.h"
#include "engine/catalogue.h"
#include "engine/model_files.h"
#include "engine/shipped_calibration.h"

namespace pmt::app {

namespace {

constexpr std::array<std::string_view, 3> kEngineNames{"permutation", "rlm", "unified"};

base::Result<std::string> template_in(const std::string& path) {
  constexpr std::size_t kTemplateBytesMax = 1 << 20;
  TRY(base::check_file(path, "chat_template"));
  TRY_ASSIGN(std::string source, base::read_text_file(path, kTemplateBytesMax));
  if (source.empty()) return base::invalid(path + " is empty: a chat template is Jinja", "chat_template");
  return source;
}

}  // namespace

ModelConfig model_from_spec(const std::string& spec) {
  engine::ModelFile named = engine::model_from_spec(spec);
  ModelConfig model;
  model.name = std::move(named.name);
  model.path = std::move(named.path);
  return model;
}

ModelConfig default_model_config() {
  return {.name = std::string(engine::default_model().name)};
}

base::Result<inference::LocalModelOptions> resolve_model(const ModelConfig& model) {
  TRY_ASSIGN(engine::ModelFile file, engine::find_model({.name = model.name, .path = model.path}));
  inference::LocalModelOptions options;
  options.path = std::move(file.path);
  options.name = std::move(file.name);
  if (!model.chat_template.empty()) {
    TRY_ASSIGN(options.chat_template, template_in(model.chat_template));
  }
  if (!model.draft.empty()) {
    TRY_ASSIGN(engine::ModelFile draft, engine::find_model(engine::model_from_spec(model.draft)));
    options.draft_path = std::move(draft.path);
  }
  options.threads = model.threads;
  options.kv_bytes_max = model.kv_bytes;
  options.prefill_chunk_tokens = model.prefill_chunk_tokens;
  options.sequences_max = model.sequences_max;
  options.queue_max = model.queue_max;
  options.prefix_bytes_max = model.prefix_bytes;
  options.kv_ratio = model.kv_ratio;
  options.kv_decoding = model.kv_decoding;
  options.kv_recent_tokens = model.kv_recent_tokens;
  options.runtime = model.runtime;
  options.cell_type = model.kv_type;
  engine::find_calibration(options);
  options.on_calibration_progress = [name = options.name, shown = -1](float done) mutable {
    const int tenths = static_cast<int>(done * 10);
    if (std::exchange(shown, tenths) == tenths) return;
    tell("calibrating {} for KV compression, once, between requests: {} %\n", name, tenths * 10);
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

base::Result<inference::LocalModelOptions> resolve_spec(const std::string& spec) {
  TRY_ASSIGN(auto resolved, resolve_models({spec.empty() ? default_model_config() : model_from_spec(spec)}));
  return std::move(resolved[0]);
}

base::Result<inference::LocalEmbedderOptions> resolve_embedder(const EmbeddingsConfig& config) {
  TRY_ASSIGN(engine::ModelFile file, engine::find_embedder({.name = config.name, .path = config.path}));
  return inference::LocalEmbedderOptions{
      .name = std::move(file.name), .path = std::move(file.path), .threads = config.threads};
}

}  // namespace pmt::app
