// The real `permutation serve` as a child process, so that what a request costs the server can be read from
// the system's own count of its CPU time. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"

namespace pmt::lab {

class ServerProcess {
 public:
  /// Runs `binary serve --port 0 ARGS` and waits until it listens. Errors: it can't be started, or it ended
  /// or was silent for a minute (kUnavailable, with what it wrote).
  static base::Result<std::unique_ptr<ServerProcess>> start(const std::string& binary,
                                                            const std::vector<std::string>& args);
  /// Stops it.
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const std::string& url() const { return url_; }
  /// User and system time of all its threads since it started, in the kernel's ticks of 10 ms.
  double cpu_seconds() const;

 private:
  ServerProcess(pid_t pid, int log_file) : pid_(pid), log_file_(log_file) {}
  base::Status wait_until_it_listens();
  std::string log() const;

  pid_t pid_;
  int log_file_;  // in memory: what it wrote on stderr
  std::string url_;
};

/// The name under which model_table() has a server answer: the catalogue's, or the file's without its folder and end.
std::string served_name(const std::string& model);
/// The configuration of one model, a name of the catalogue or a file; further lines may follow.
std::string model_table(const std::string& model);

}  // namespace pmt::lab
