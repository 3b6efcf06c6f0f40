// Who of a process computes at this moment, and how many cores each takes (note 0035).
//
// Two models that run at once with all cores each would make threads wait for threads. So whoever begins a step gets
// its part of the cores: all of them alone, half beside another one. Nobody waits; whoever is in a step keeps what it
// has until the next one. Thread-safety: any thread may call anything; a place's begin and end alternate.
// Cost: a lock that is held for a walk over the places.
#pragma once

#include <map>
#include <mutex>

#include "base/clock.h"

namespace pmt::base {

class CoreShare {
 public:
  /// Somebody that began again within this time counts as computing: between two tokens a model rests for a moment.
  static constexpr Nanos kRest = std::chrono::milliseconds(20);

  explicit CoreShare(int cores) : cores_(cores) {}
  /// Of this process, over all cores that it may use.
  static CoreShare& of_process();

  /// A place, to be given back by leave.
  int join();
  void leave(int place);

  /// How many threads to use now, 1 to `wanted`.
  int begin(int place, int wanted, Nanos now);
  void end(int place, Nanos now);

 private:
  struct Place {
    bool computes = false;
    Nanos ended = -kRest;
  };

  const int cores_;
  std::mutex mutex_;
  std::map<int, Place> places_;
  int next_ = 0;
};

}  // namespace pmt::base
