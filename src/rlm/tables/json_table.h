// JSON records: an object a line, or one document with lists of objects (each list a table). Members of objects
// within are columns "outer_inner"; lists of plain values become one text. Each object is parsed by itself, so a
// document of any size is never a tree.
// Thread-safety, cost: table_source.h; one pass, some 40 MB/s.
#pragma once

#include <memory>

#include "rlm/tables/table_source.h"

namespace pmt::rlm {

/// Null if the text's beginning is no such thing. Looks at 256 KB at most.
std::unique_ptr<TableSource> json_table(std::string_view text);

}  // namespace pmt::rlm
