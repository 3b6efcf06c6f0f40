// A GBNF grammar of one SELECT over one table's columns: numbers are compared with numbers, a column of few values
// with those, and nothing but this table is read. What a small model writes by it can always be prepared.
// Thread-safety: a pure function.
#pragma once

#include <string>

#include "rlm/tables/table_survey.h"

namespace pmt::rlm {

std::string select_grammar(const SurveyedTable& table);

}  // namespace pmt::rlm
