// Work that nobody waits for by the second, beside work that somebody does.
//
// Thread-safety: for the calling thread, and the threads that it starts from then on. It can't be taken back
// without privileges: it is for threads made for such work.
#pragma once

#include <sys/resource.h>

namespace pmt::base {

/// This thread gives way: where cores are short it gets a third of what a thread that answers gets. Not less,
/// or under load that never ends it would not end either.
inline void give_way() {
  constexpr int kNice = 5;
  (void)::setpriority(PRIO_PROCESS, 0, kNice);  // of a thread, on Linux
}

}  // namespace pmt::base
