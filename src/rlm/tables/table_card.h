// What a model is shown of a table, first in its prompt so that every question about one text shares the prefix: a
// CREATE TABLE with a comment a column (range, all values where they are few, else two), and three rows.
// Thread-safety: pure functions. Cost: some milliseconds; 150 to 600 tokens.
#pragma once

#include <string>

#include "rlm/tables/table_database.h"

namespace pmt::rlm {

/// Columns that are shown at most; a query may use the others too.
inline constexpr std::size_t kCardColumnsMax = 40;

/// `sample`: rows of SELECT *.
std::string table_card(const SurveyedTable& table, const QueryResult& sample);

}  // namespace pmt::rlm
