// Which tables a text is made of, if any: a JSON document or lines of JSON objects, CSV and its sisters, Markdown
// tables, a log, rows without names, lines of one form, in this order, the surest first. Judged by the text's
// beginning; whoever reads all of it learns how many lines don't fit (TableSource::left_out). Thread-safety: a pure
// function. Cost: some milliseconds.
#pragma once

#include <memory>

#include "rlm/tables/table_source.h"

namespace pmt::rlm {

/// Null: it is no table. `text` outlives the source.
std::unique_ptr<TableSource> recognise_tables(std::string_view text);

}  // namespace pmt::rlm
