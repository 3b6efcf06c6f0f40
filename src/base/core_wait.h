// How long threads were ready to run and had no core, as the kernel's scheduler counts it (note 0035).
//
// Unlike the load average it is about these threads alone, is exact, and costs two small reads.
// Thread-safety: one thread at a time. Errors: none; where the kernel keeps no such count, there is none.
// Source: the kernel's document on scheduler statistics (sched-stats), /proc/PID/schedstat.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"

namespace pmt::base {

class CoreWait {
 public:
  /// The threads `ids` and the one that calls.
  explicit CoreWait(const std::vector<int>& ids, const std::string& proc = "/proc");

  /// Of all of them together, since they began. Unset where it can't be read.
  std::optional<Nanos> read() const;

 private:
  std::vector<Fd> files_;
};

}  // namespace pmt::base
