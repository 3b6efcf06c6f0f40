// Where Permutation keeps what outlives a process: models today.
// Thread-safety: any thread; the environment must not change meanwhile.
#pragma once

#include <filesystem>

namespace pmt::app {

/// $PERMUTATION_HOME, else ~/.local/share/permutation. Nothing is created.
std::filesystem::path home_dir();

/// home_dir()/models: one folder a model, named as it is served.
std::filesystem::path models_dir();

}  // namespace pmt::app
