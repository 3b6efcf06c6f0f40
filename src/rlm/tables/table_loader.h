// A text's tables into a database, with what their columns hold counted, and each table widened by the columns of
// the rows that it refers to, so that no query needs a JOIN.
// Thread-safety: pure functions. Errors: the watch's, the database's. Cost: one pass of the source, some 500,000 rows a
// second; the tables take about the text's size in memory.
#pragma once

#include <memory>

#include "rlm/tables/table_database.h"

namespace pmt::rlm {

/// Adds to `survey` what is counted and lent; the database is sealed. `limits`: of the queries.
base::Result<std::unique_ptr<TableDatabase>> load_tables(TableSource& source, TableSurvey& survey,
                                                         Watch& watch, QueryLimits limits = {});

}  // namespace pmt::rlm
