#include "base/crowding.h"

#include <algorithm>

namespace pmt::base {

bool Crowding::observe(CrowdSample sample) {
  passed_ += sample.computed;
  if (crowded_) {
    if (passed_ < hold_) return false;
    crowded_ = false;
    looking_ = true;
    passed_ = excess_ = Nanos(0);
    return true;
  }
  const auto usual = static_cast<Nanos::rep>(static_cast<double>(sample.computed.count()) * kUsualShare);
  excess_ = std::max(Nanos(0), excess_ + sample.waited - Nanos(usual));
  if (excess_ > kExcess) {
    crowded_ = true;
    hold_ = looking_ ? std::min(2 * hold_, kLastHold) : kFirstHold;
    looking_ = false;
    passed_ = Nanos(0);
  } else if (looking_ && passed_ >= kLook) {
    looking_ = false;
  }
  return crowded_;
}

}  // namespace pmt::base
