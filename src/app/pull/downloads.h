// The files of one model, downloaded into its pull folder: several at once, each under FILE.part until its sum was compared,
// then under its own name. Thread-safety: one call at a time for a folder.
#pragma once

#include <cstdint>
#include <filesystem>

#include "app/pull/remote_plan.h"
#include "base/result.h"
#include "engine/pulled_models.h"
#include "net/async_client.h"

namespace pmt::app {

/// What an earlier try left is kept as far as it is of the bytes that are wanted now; all else goes, and the folder's
/// record becomes `model`. Errors: kIo.
base::Status continue_from(const std::filesystem::path& folder, const engine::PulledModel& model);

/// Bytes that still come.
std::int64_t bytes_left(const std::filesystem::path& folder, const engine::PulledModel& model);

/// Shows its progress on stderr. The files of `plan.model` that had no sum get the one that they have. Errors: those of
/// download_file; a sum that isn't the announced one (kCorrupt: that file was set aside), or no GGUF at all (kCorrupt).
base::Status download_all(net::AsyncClient& client, RemotePlan& plan, const std::filesystem::path& folder,
                          double timeout_s);

/// 0 where there is no such file.
std::int64_t bytes_of(const std::filesystem::path& file);

}  // namespace pmt::app
