// Whether other processes take the cores that a team of threads computes on (note 0035). Pure: it is told what was
// measured, and decides.
//
// Threads of an idle machine wait for a core now and then, too: a hypervisor or a timer takes some milliseconds. So what
// counts is the excess, the time waited beyond a quarter of the time computed, added up and never below nothing. More
// than 20 ms of it, and the team is crowded: two busy processes on two cores bring that within 30 ms, one within 80 ms.
//
// It stays crowded for a second, whatever is measured meanwhile: threads that sleep while they wait for each other also
// wait a little for each core that they wake on, so crowded figures don't say whether the crowd has gone. Then it looks,
// for up to 100 ms, as if the crowd had gone. If it hasn't, the next look is twice as far away, up to eight seconds.
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
  /// How often to observe: what one reading costs is nothing beside it.
  static constexpr Nanos kWindow = std::chrono::milliseconds(20);
  static constexpr double kUsualShare = 0.25;  // of the time computed, waited by one member
  static constexpr Nanos kExcess = std::chrono::milliseconds(20), kLook = std::chrono::milliseconds(100);
  static constexpr Nanos kFirstHold = std::chrono::seconds(1), kLastHold = std::chrono::seconds(8);

  /// True if the decision is another one than before.
  bool observe(CrowdSample sample);
  bool crowded() const { return crowded_; }

 private:
  Nanos excess_{0};
  Nanos hold_ = kFirstHold;
  Nanos passed_{0};  // since the last decision
  bool crowded_ = false;
  bool looking_ = false;  // tries what the crowd's going would allow
};

}  // namespace pmt::base
