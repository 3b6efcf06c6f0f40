// Whether other processes take the cores that a team of threads computes on (note 0035). Pure: it is told what was
// measured, and decides.
//
// A team that waits for a core more than a tenth of the time is crowded, and stays so for a second, whatever is
// measured meanwhile: threads that sleep while they wait for each other also wait a little for each core that they
// wake on, so crowded figures don't say whether the crowd has gone. Then one window is run as if it had. If it hasn't,
// the next look is twice as far away, up to eight seconds: so at most a window in fifty is lost by looking.
// Thread-safety: one thread at a time.
#pragma once

#include "base/clock.h"

namespace pmt::base {

/// Since the last one.
struct CrowdSample {
  Nanos computed;  // of wall time, by the whole team at once
  Nanos waited;    // for a core, all members together
};

class Crowding {
 public:
  static constexpr Nanos kWindow = std::chrono::milliseconds(20);
  static constexpr double kCrowdedShare = 0.1;  // of the window, of one member
  static constexpr Nanos kFirstHold = std::chrono::seconds(1), kLastHold = std::chrono::seconds(8);

  /// True if the decision is another one than before.
  bool observe(CrowdSample sample);
  bool crowded() const { return crowded_; }

 private:
  CrowdSample window_{Nanos(0), Nanos(0)};
  Nanos hold_ = kFirstHold, held_{0};
  bool crowded_ = false;
  bool looking_ = false;  // this window tries what the crowd's going would allow
};

}  // namespace pmt::base
