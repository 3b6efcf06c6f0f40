// Runs another program to its end. No shell: the arguments reach it as they are.
// Thread-safety: one call at a time (it changes the process's signal handling while the child runs).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace pmt::app {

/// Runs argv[0] (searched in PATH) with stdin closed and both its outputs on our stderr, so that our stdout
/// stays ours. Ctrl-C ends the child, not us, so that the caller can clean up. Returns the exit status,
/// 128 + signal for a killed child. Errors: it can't be started (kIo).
base::Result<int> run_process(const std::vector<std::string>& argv);

}  // namespace pmt::app
