// Which models must go so that another one fits under a ceiling. Thread-safety: pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.h"

namespace pmt::engine {

/// A model in memory that may go.
struct Resident {
  std::int64_t bytes = 0;
  base::Nanos last_used{0};
  bool busy = false;  // it may go only when what it runs has ended
};

/// Those that go, as indexes: the least recently used first, the busy ones after all others, and no more
/// than it takes to have `need` bytes where `room` are free. All of them where even that is too little.
std::vector<std::size_t> plan_room(std::int64_t need, std::int64_t room, std::span<const Resident> residents);

}  // namespace pmt::engine
