// What the knowledge cache's gates cost by the clock, beside a model or without one. Used by one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "lab/invented_facts.h"
#include "lab/subject.h"

namespace pmt::lab {

/// In milliseconds, one of each a repeat.
struct GateTimes {
  std::vector<double> swap;    // to have all domains ready for a request
  std::vector<double> lookup;  // to find a taught thing's name in a question
  std::vector<double> open;    // that, and the decision on its relation, an embedding included
  std::vector<double> closed;  // 3,500 bytes that name nothing
};

/// 3,500 bytes that name nothing that is taught.
std::string idle_text();

/// Over all domains of `subject`, which were taught `world`; questions that no memo has seen.
GateTimes time_gates(Subject& subject, const InventedWorld& world, std::uint32_t seed, int repeats);

}  // namespace pmt::lab
