// Questions over records, answered by computing instead of reading: lines of JSON objects, of "key: value" or
// "key=value" pairs, or of a table with a header, also among other text.
//
// A question is understood only if every word of it that means something is explained: as a field's name, as
// a value that occurs in the records, as what is to be computed, or as a general word for records. Otherwise
// nothing is computed, and the caller has to read. Thread-safety: pure functions. Cost: one pass over the
// text.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pmt::rlm {

using Record = std::map<std::string, std::string>;  // field, in lower case -> value

/// The records of `text`, in order.
std::vector<Record> find_records(const std::string& text);

/// Whether a question asks for a count, a sum, a mean or an extreme.
bool is_aggregate(const std::string& question);

struct Computed {
  std::string value;        // the answer
  std::string how;          // "count of 37 of 1204 records: city = Lisbon, status = cancelled"
  std::size_t records = 0;  // scanned
  std::size_t matching = 0;
};

struct Computation {
  std::optional<Computed> answer;
  std::string why_not;  // when there is no answer
};

Computation compute(const std::vector<Record>& records, const std::string& question);

}  // namespace pmt::rlm
