#include "app/pull/model_removal.h"

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "app/pull/pull_folder.h"
#include "engine/catalogue.h"
#include "engine/pulled_models.h"

namespace pmt::app {

namespace fs = std::filesystem;
using engine::PulledModel;

namespace {

/// The folders that belong to what `name` names.
base::Result<std::vector<fs::path>> folders_of(const std::string& name) {
  std::vector<fs::path> folders;
  std::error_code ignored;
  const auto add = [&](fs::path folder) {
    if (fs::is_directory(fs::symlink_status(folder, ignored))) folders.push_back(std::move(folder));
  };
  if (const engine::CatalogueModel* known = engine::find_in_catalogue(name); known != nullptr) {
    add(engine::installed_path(*known).parent_path());
    add(engine::pull_folder(name));
  } else {
    for (const PulledModel& pull : engine::unfinished_pulls()) {
      if (pull.name == name || pull.source == name) add(engine::pull_folder(pull.name));
    }
    const auto found = engine::find_pulled(name);
    if (found) add(engine::pulled_folder(found->name));
    if (!found && found.error().code != base::Code::kNotFound) return found.error();
  }
  if (!folders.empty()) return folders;
  return base::Error{base::Code::kNotFound,
                     fmt::format("there is no model {} here. See: permutation models list", name)};
}

}  // namespace

base::Result<std::uintmax_t> remove_model(const std::string& name) {
  TRY_ASSIGN(const ModelsLock lock, ModelsLock::take());
  TRY_ASSIGN(const std::vector<fs::path> folders, folders_of(name));
  std::uintmax_t bytes = 0;
  for (const fs::path& folder : folders) {
    bytes += bytes_under(folder);
    // Out of sight first: a model that is half removed must not look whole.
    const fs::path hidden = folder.parent_path() / (".removed-" + folder.filename().string());
    std::error_code error;
    fs::remove_all(hidden, error);
    fs::rename(folder, hidden, error);
    if (!error) fs::remove_all(hidden, error);
    if (error)
      return base::Error{base::Code::kIo,
                         fmt::format("can't remove {}: {}", folder.string(), error.message())};
  }
  return bytes;
}

}  // namespace pmt::app
