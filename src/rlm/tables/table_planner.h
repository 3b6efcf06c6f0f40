// A SELECT without a model, for a question each of whose words is explained: a count, sum, mean or extreme of one
// column, or one column of the rows that the question's values name. Whatever compares, excludes, orders or groups is
// left to a model. Thread-safety: pure functions.
#pragma once

#include <optional>
#include <string>

#include "rlm/tables/table_linker.h"

namespace pmt::rlm {

std::optional<std::string> planned_select(const SurveyedTable& table, const TableQuestion& question,
                                          const LinkedQuestion& linked);

}  // namespace pmt::rlm
