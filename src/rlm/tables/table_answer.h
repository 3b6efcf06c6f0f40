// An answer out of a query's rows: the value, then how it was read, so that a wrong reading is seen; or that the tables
// don't hold it. Thread-safety: pure functions.
#pragma once

#include <string>
#include <vector>

#include "rlm/tables/table_database.h"
#include "rlm/tables/table_linker.h"

namespace pmt::rlm {

/// A query that was run.
struct Attempt {
  std::string sql;
  QueryResult result;
  std::string why;            // it has no answer; "": it has
  std::string matched = {};   // rows that its condition fits; "": not counted
  std::string left_out = {};  // what the question names and the query leaves out, as the writer was told; ""
  bool failed = false;        // it could not be run
  bool not_in_data = false;   // who wrote it says that no column holds what is asked
};

std::string answer_in_words(const Attempt& attempt, const SurveyedTable& table, const LinkedQuestion& linked,
                            const std::string& writer);
/// "Not in the table: ..."
std::string unknown_names(const std::vector<std::string>& names);
/// "a, b; c, d": five rows at most, then how many.
std::string rows_in_words(const QueryResult& result);
std::string column_names(const SurveyedTable& table);

/// The condition of a query over the table, without its WHERE; "": it has none.
std::string condition_of(const std::string& sql);
/// How many rows the condition fits; "": can't be told from the query's text.
std::string counting_query(const std::string& sql, const SurveyedTable& table);

}  // namespace pmt::rlm
