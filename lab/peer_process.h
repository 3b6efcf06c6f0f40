// A peer of a measurement: any server program, started with its output in a file, awaited by HTTP, and
// stopped with everything that it started. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"

namespace pmt::lab {

class PeerProcess {
 public:
  /// Waits until GET `url` + `ready` answers 200. Errors: kUnavailable, with the log's end.
  static base::Result<std::unique_ptr<PeerProcess>> start(const std::vector<std::string>& argv,
                                                          const std::string& url, const std::string& ready,
                                                          int seconds);
  ~PeerProcess();
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;
  double cpu_seconds() const;
  double rss_mb() const;

 private:
  explicit PeerProcess(pid_t pid) : pid_(pid) {}
  pid_t pid_;
};

/// Of one process; 0 if there is none.
double rss_mb_of(pid_t pid);
double cpu_seconds_of(pid_t pid);
int free_port();

}  // namespace pmt::lab
