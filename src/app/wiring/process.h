// Runs other programs to their end. No shell: the arguments reach them as they are. Stdin is closed and both
// outputs go to our stderr, so that our stdout stays ours. Ctrl-C ends the children, not us, so that the
// caller can clean up.
// Thread-safety: one call at a time (it changes the process's signal handling while the children run).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/commands/exit_code.h"
#include "base/result.h"

namespace pmt::app {

/// Runs argv[0] (searched in PATH). Returns the exit status, 128 + signal for a killed child, and kExitInterrupted for one
/// that failed after Ctrl-C, however it took it. Errors: it
/// can't be started (kIo).
base::Result<int> run_process(const std::vector<std::string>& argv);

struct RunSideBySide {
  int at_once = 4;
  std::function<void()> on_tick = {};  // some five times a second meanwhile
};

/// Runs all; after the first that fails no other is started. Returns their exit statuses in order, -1 for
/// what wasn't started. Errors: as above, once what runs has ended.
base::Result<std::vector<int>> run_processes(const std::vector<std::vector<std::string>>& argvs,
                                             const RunSideBySide& options);

}  // namespace pmt::app
