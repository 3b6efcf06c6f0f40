// Lines of a log: a time, a level, an address, a method, a path, numbers with units, key=value, and words. The form
// that most lines have is the table; where no form is that common, the columns are the fields that nearly all lines
// begin with, and the rest of the line is the column "message".
// Thread-safety, cost: table_source.h; one pass, some 100 MB/s.
#pragma once

#include <memory>

#include "rlm/tables/table_source.h"

namespace pmt::rlm {

/// Null if the text's first 256 KB are no such log.
std::unique_ptr<TableSource> log_table(std::string_view text);

}  // namespace pmt::rlm
