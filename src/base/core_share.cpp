#include "base/core_share.h"

#include <algorithm>
#include <thread>

namespace pmt::base {

CoreShare& CoreShare::of_process() {
  static CoreShare share(static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  return share;
}

int CoreShare::join() {
  const std::lock_guard lock(mutex_);
  places_.emplace(next_, Place{});
  return next_++;
}

void CoreShare::leave(int place) {
  const std::lock_guard lock(mutex_);
  places_.erase(place);
}

int CoreShare::begin(int place, int wanted, Nanos now) {
  const std::lock_guard lock(mutex_);
  places_[place].computes = true;
  int sharing = 0, before = 0;
  for (const auto& [id, each] : places_) {
    if (!each.computes && now - each.ended >= kRest) continue;
    ++sharing;
    before += id < place;
  }
  // What doesn't come out even goes to the eldest.
  const int part = cores_ / sharing + (before < cores_ % sharing ? 1 : 0);
  // Alone, it gets what it wants: whoever asks for more threads than cores has a reason.
  return sharing == 1 ? wanted : std::clamp(part, 1, wanted);
}

void CoreShare::end(int place, Nanos now) {
  const std::lock_guard lock(mutex_);
  places_[place] = {false, now};
}

}  // namespace pmt::base
