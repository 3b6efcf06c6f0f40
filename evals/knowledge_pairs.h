// What the knowledge cache answers beside what it was taught: a fact of another year, quarter, place, version, ...
// than the one asked for (evals/pairs, question_pairs.h). Not thread-safe.
#pragma once

#include <cstddef>
#include <string>

#include "evals/forgetting_examination.h"

namespace pmt::evals {

/// Teaches the first question of each pair about a thing of its own, and asks: the second (whose answer nobody
/// taught); then teaches that, too, and asks both; and the wordings of taught ones. Rows: "KIND: wrong", "KIND: both
/// taught", "KIND: reworded". Failures are told on stderr.
base::Result<Shares> examine_pairs(lab::Subject& subject, const std::string& file, std::size_t each);

}  // namespace pmt::evals
