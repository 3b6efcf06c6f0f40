#include "engine/home.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace pmt::engine {

namespace {

std::string env(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::filesystem::path user_dir() {
  if (std::string home = env("HOME"); !home.empty()) return home;
  const passwd* entry = getpwuid(getuid());  // services are often started without HOME
  return entry != nullptr && entry->pw_dir != nullptr ? entry->pw_dir : ".";
}

}  // namespace

std::filesystem::path home_dir() {
  if (std::string home = env("PERMUTATION_HOME"); !home.empty()) return home;
  return user_dir() / ".local" / "share" / "permutation";
}

std::filesystem::path models_dir() {
  return home_dir() / "models";
}

std::filesystem::path calibration_path(const std::filesystem::path& model_path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(model_path, error);
  const std::string size = error ? "" : "-" + std::to_string(bytes);
  return home_dir() / "calibrations" / (model_path.stem().string() + size + ".kv");
}

}  // namespace pmt::engine
