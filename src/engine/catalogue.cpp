#include "engine/catalogue.h"

#include <algorithm>
#include <array>
#include <string>
#include <system_error>

#include "engine/catalogue_parts.h"
#include "engine/home.h"

namespace pmt::engine {

namespace {

constexpr std::array kModels{
    CatalogueModel{
        .name = "smollm2-135m-instruct",
        .version = "0.1.2",
        .parts = kSmolLm2,
        .file = "SmolLM2-135M-Instruct.Q4_1.gguf",
        .bytes = 98362432,
        .sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        .licence = "Apache-2.0",
    },
    // A base model: it goes on from a text (/v1/completions) and has no chat template.
    CatalogueModel{
        .name = "gemma3-270m",
        .version = "1.0.0",
        .parts = kGemma3,
        .file = "gemma-3-270m-q4_k_m.gguf",
        .bytes = 253113024,
        .sha256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        .licence = "Gemma Terms of Use",
    },
    CatalogueModel{
        .name = "qwen2.5-coder-0.5b-instruct",
        .version = "0.9.0",
        .parts = kQwenCoderHalf,
        .file = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        .bytes = 491400064,
        .sha256 = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        .licence = "Apache-2.0",
    },
    CatalogueModel{
        .name = "qwen2.5-coder-1.5b-instruct",
        .version = "0.2.0",
        .parts = kQwenCoderOneAndHalf,
        .file = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        .bytes = 1117320768,
        .sha256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        .licence = "Apache-2.0",
    },
    CatalogueModel{
        .name = "all-minilm-l6-v2",
        .version = "0.1.0",
        .parts = kMiniLm,
        .file = "all-MiniLM-L6-v2.F16.gguf",
        .bytes = 46223296,
        .sha256 = "287bb8a6849b1fa1378a4637540f9196947cc6f4b1b7e1aa7e7954ef80cfee3d",
        .licence = "Apache-2.0",
        .kind = ModelKind::kEmbeds,
        .converted = true,
    }};

}  // namespace

std::span<const CatalogueModel> catalogue() {
  return kModels;
}

const CatalogueModel* find_in_catalogue(std::string_view name) {
  const auto found = std::ranges::find(kModels, name, &CatalogueModel::name);
  return found == kModels.end() ? nullptr : &*found;
}

const CatalogueModel& default_model() {
  return kModels.front();
}

const CatalogueModel& default_embedder() {
  return *std::ranges::find(kModels, ModelKind::kEmbeds, &CatalogueModel::kind);
}

std::filesystem::path installed_path(const CatalogueModel& model) {
  return models_dir() / model.name / model.file;
}

bool is_installed(const CatalogueModel& model) {
  std::error_code ignored;  // absent and unreadable are both "not installed"
  const auto bytes = std::filesystem::file_size(installed_path(model), ignored);
  return !ignored && static_cast<std::int64_t>(bytes) == model.bytes;
}

}  // namespace pmt::engine
