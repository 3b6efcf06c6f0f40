#include "engine/models_folder.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <tuple>

#include <fmt/format.h>

#include "engine/pulled_models.h"

namespace pmt::engine {
namespace {

namespace fs = std::filesystem;

std::string name_of(const fs::path& file) {
  const auto record = read_record(file.parent_path());
  if (record && record->file == file.filename()) return record->name;
  const auto found = find_model({.name = {}, .path = file.string()});
  return found ? found->name : file.stem().string();
}

void add_models(const fs::path& folder, int levels, std::vector<ModelFile>& out, std::error_code& failed) {
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    const fs::path& path = at->path();
    if (path.filename().string().starts_with('.')) continue;
    std::error_code ignored;  // it went meanwhile
    if (at->is_directory(ignored)) {
      if (levels > 0) add_models(path, levels - 1, out, ignored);
    } else if (path.extension() == ".gguf" && at->is_regular_file(ignored)) {
      out.push_back({.name = name_of(path), .path = path.string()});
    }
  }
}

}  // namespace

base::Result<std::vector<ModelFile>> models_in(const std::string& folder) {
  std::vector<ModelFile> out;
  std::error_code failed;
  add_models(folder, 1, out, failed);
  if (failed)
    return base::invalid(fmt::format("the folder of models {}: {}", folder, failed.message()), "dir");
  std::ranges::sort(out, {}, [](const ModelFile& file) { return std::tie(file.name, file.path); });
  return out;
}

}  // namespace pmt::engine
