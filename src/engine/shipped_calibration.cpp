#include "engine/shipped_calibration.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <system_error>

#include "base/file_digest.h"
#include "engine/catalogue.h"
#include "engine/home.h"
#include "engine/shipped_files.h"

namespace pmt::engine {

// In the generated file.
// NOLINTBEGIN(readability-identifier-naming)
extern const EmbeddedFile k_files[];
extern const std::size_t k_files_count;
// NOLINTEND(readability-identifier-naming)

std::string_view shipped_calibration_of(std::string_view name) {
  const EmbeddedFile* const end = k_files + k_files_count;
  const EmbeddedFile* const found =
      std::find_if(k_files, end, [&](const EmbeddedFile& file) { return name == file.name; });
  return found == end ? std::string_view() : std::string_view(found->bytes, found->size);
}

std::string_view shipped_calibration(const std::string& model_path) {
  std::error_code missing;
  const auto bytes = std::filesystem::file_size(model_path, missing);
  if (missing) return {};
  for (const CatalogueModel& model : catalogue()) {
    if (static_cast<std::uintmax_t>(model.bytes) != bytes) continue;
    const std::string_view shipped = shipped_calibration_of(model.name);
    if (shipped.empty()) continue;
    const auto digest = base::digest_of_file(model_path);
    if (digest && digest->hex() == model.sha256) return shipped;
  }
  return {};
}

void find_calibration(inference::LocalModelOptions& options) {
  options.calibration_path = calibration_path(options.path).string();
  options.calibration_shipped = shipped_calibration(options.path);
}

}  // namespace pmt::engine
