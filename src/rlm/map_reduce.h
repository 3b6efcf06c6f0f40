// The fixed program, for models that are too small to write one (below 2B parameters). In this order:
//   1. a count, sum, mean or extreme over records is computed from the records (aggregate.h): no token is
//   read;
//   2. a question of that kind over what can't be told apart by fields maps over every chunk, and sums up;
//   3. every other question is searched for (passages.h), the passages that match are read, and an answer is
//      drawn from what they say.
// Which of them it was, and what was read of how much, is in the outcome's strategy.
// Thread-safety: any thread. Errors: the model's and the budget's, kCancelled (within 100 ms); (2) ends early
// with what it has when the budget does.
#pragma once

#include <string>

#include "rlm/run.h"

namespace pmt::rlm {

base::Result<Outcome> map_and_reduce(Run& run, const std::string& question, const std::string& context);

}  // namespace pmt::rlm
