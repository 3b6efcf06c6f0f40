#include "base/crowding.h"

#include <algorithm>

namespace pmt::base {

bool Crowding::observe(CrowdSample sample) {
  if (crowded_) {
    held_ += sample.computed;
    if (held_ < hold_) return false;
    crowded_ = false;
    looking_ = true;
    window_ = {Nanos(0), Nanos(0)};
    return true;
  }
  window_.computed += sample.computed;
  window_.waited += sample.waited;
  if (window_.computed < kWindow) return false;
  const double share =
      static_cast<double>(window_.waited.count()) / static_cast<double>(window_.computed.count());
  crowded_ = share >= kCrowdedShare;
  hold_ = crowded_ && looking_ ? std::min(2 * hold_, kLastHold) : kFirstHold;
  looking_ = false;
  window_ = {Nanos(0), Nanos(0)};
  held_ = Nanos(0);
  return crowded_;
}

}  // namespace pmt::base
