// A question over records, answered by computing instead of reading.
//
// It is understood only if every word of it that means something is explained: as a field's name, as a value
// that occurs in the records, as what is to be computed, or as a general word for records. Otherwise nothing
// is computed, and the caller has to read. Thread-safety: pure functions. Cost: one pass over the records,
// and one over their values.
#pragma once

#include <optional>
#include <string>

#include "rlm/records.h"

namespace pmt::rlm {

/// Whether a question asks for a count, a sum, a mean or an extreme. One over 2,000 bytes doesn't.
bool is_aggregate(const std::string& question);

struct Computed {
  std::string value;        // the answer
  std::string how;          // "count of 37 of 1204 records: city = Lisbon, status = cancelled"
  std::size_t records = 0;  // scanned
  std::size_t matching = 0;
};

struct Computation {
  std::optional<Computed> answer = {};
  std::string why_not = {};  // when there is no answer
};

/// Errors: the watch's.
base::Result<Computation> compute(const Records& records, const std::string& question, Watch& watch);

}  // namespace pmt::rlm
