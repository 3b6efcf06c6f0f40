// One process with a socket to it as its descriptor 3, and nothing else of ours: every other descriptor is
// closed in it, its environment is empty. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace pmt::sandbox {

using base::Fd;

class Child {
 public:
  /// Starts argv[0]. `extra` becomes descriptor 4, if there is one. The calling thread must outlive the
  /// child: bubblewrap asks the kernel to kill it when its parent's thread goes. Errors: kIo.
  static base::Result<Child> start(const std::vector<std::string>& argv, const Fd& extra);
  Child() = default;
  /// Kills and reaps.
  ~Child();
  Child(Child&&) noexcept;
  Child& operator=(Child&&) noexcept;

  int socket() const { return socket_.get(); }
  /// What it has written to stderr so far, cut.
  std::string complaints() const;
  /// Forgets its stderr: from now on nobody reads it.
  void close_stderr() { stderr_.reset(); }
  /// Kills and reaps it, with everything in its pid namespace or process group. Returns how it ended, for
  /// people. `patience_ms`: how long it may take to end by itself, so that the reason is its own. Idempotent.
  std::string end(int patience_ms = 0);
  /// Stops it and all that it has started, so that no thread of theirs runs; or lets them go on.
  void pause(bool paused);

 private:
  pid_t pid_ = -1;
  Fd socket_, stderr_;
};

}  // namespace pmt::sandbox
