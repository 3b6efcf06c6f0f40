// The calibrations of data/calibrations, which come with the product: those of the catalogue's models, made by
// `./dev calibrate MODEL` (note 0034). A model that is there is never calibrated on a user's machine.
// Thread-safety: any thread. Cost: where a catalogue's model has a file's size and a calibration came with it, the
// file's digest (0.1 s for 100 MB).
#pragma once

#include <string>
#include <string_view>

#include "inference/local_model.h"

namespace pmt::engine {

/// The bytes of the calibration of the model in that file, told by its digest; empty: none came with the product.
std::string_view shipped_calibration(const std::string& model_path);

/// The same by the catalogue's name, and whatever the file may be.
std::string_view shipped_calibration_of(std::string_view name);

/// Where a model's calibration is kept, and what came with the product: into `options`, by their path.
void find_calibration(inference::LocalModelOptions& options);

}  // namespace pmt::engine
