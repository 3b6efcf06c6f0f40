#include "engine/model_files.h"

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/file.h"
#include "engine/catalogue.h"
#include "engine/model_source.h"
#include "engine/pulled_models.h"
#include "text/plain_words.h"

namespace pmt::engine {

namespace {

namespace fs = std::filesystem;

std::string served_name(const fs::path& path) {
  std::error_code ignored;  // an absent file has no catalogue size
  const auto bytes = static_cast<std::int64_t>(fs::file_size(path, ignored));
  for (const CatalogueModel& known : catalogue()) {
    if (path.filename() == known.file && bytes == known.bytes) return std::string(known.name);
  }
  return text::lower(path.stem().string());
}

base::Result<std::string> path_of(const CatalogueModel& known) {
  if (is_installed(known)) return installed_path(known).string();
  return base::Error{
      base::Code::kNotFound,
      fmt::format("the model {0} isn't installed (looked for {1}). Run: permutation models pull {0}",
                  known.name, installed_path(known).string())};
}

base::Error unknown_name(const std::string& name) {
  std::vector<std::string> names;
  for (const CatalogueModel& model : catalogue()) {
    if (model.kind == ModelKind::kWrites) names.emplace_back(model.name);
  }
  for (const PulledModel& model : pulled_models()) names.push_back(model.name);
  return {base::Code::kNotFound,
          fmt::format("no model \"{}\" in the catalogue or among those that were pulled: {}. Or give a file: "
                      "./{}.gguf",
                      name, fmt::join(names, ", "), name)};
}

base::Result<std::string> path_of_name(const std::string& name) {
  const CatalogueModel* known = find_in_catalogue(name);
  if (known == nullptr) {
    const auto pulled = find_pulled(name);
    if (!pulled) return unknown_name(name);
    return pulled->path().string();
  }
  if (known->kind != ModelKind::kWrites) {
    return base::invalid(fmt::format("the model {} makes embeddings, it doesn't write: leave it out, POST "
                                     "/v1/embeddings serves it by itself ([embeddings] in the config file)",
                                     name),
                         "name");
  }
  return path_of(*known);
}

/// A source as name or path becomes the pulled model's; a name beside a path that is a source stays.
base::Result<ModelFile> from_source(const ModelFile& named) {
  const bool by_path = is_source(named.path);
  if (!by_path && !(named.path.empty() && is_source(named.name))) return named;
  TRY_ASSIGN(const PulledModel pulled, find_pulled(by_path ? named.path : named.name));
  const bool has_name = by_path && !named.name.empty();
  return ModelFile{.name = has_name ? named.name : pulled.name, .path = pulled.path().string()};
}

}  // namespace

ModelFile model_from_spec(const std::string& spec) {
  const bool is_path = !is_source(spec) && (spec.find('/') != std::string::npos || spec.ends_with(".gguf"));
  return is_path ? ModelFile{.name = {}, .path = spec} : ModelFile{.name = spec, .path = {}};
}

base::Result<ModelFile> find_model(const ModelFile& named) {
  TRY_ASSIGN(ModelFile found, from_source(named));
  if (found.path.empty()) {
    TRY_ASSIGN(found.path, path_of_name(found.name));
  }
  if (found.name.empty()) found.name = served_name(found.path);
  return found;
}

base::Result<ModelFile> find_embedder(const ModelFile& named) {
  TRY_ASSIGN(ModelFile found, from_source(named));
  if (found.path.empty()) {
    TRY_ASSIGN(found.path, path_of(default_embedder()));
    if (found.name.empty()) found.name = default_embedder().name;
    return found;
  }
  TRY(base::check_file(found.path, "[embeddings] path"));
  if (found.name.empty()) found.name = served_name(found.path);
  return found;
}

}  // namespace pmt::engine
