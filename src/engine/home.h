// Where Permutation keeps what outlives a process: models, and what was measured of them.
// Thread-safety: any thread; the environment must not change meanwhile.
#pragma once

#include <filesystem>

namespace pmt::engine {

/// $PERMUTATION_HOME, else ~/.local/share/permutation. Nothing is created.
std::filesystem::path home_dir();

/// home_dir()/models: one folder a model, named as it is served.
std::filesystem::path models_dir();

/// Where the calibration of the model in file `model_path` is kept: its name and size tell models apart.
std::filesystem::path calibration_path(const std::filesystem::path& model_path);

}  // namespace pmt::engine
