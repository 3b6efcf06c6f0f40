// CSV and its sisters with tabs, semicolons or bars between cells: a header, then rows. Quotes are RFC 4180's, with
// line ends inside; one that nothing closes within 64 KB is an ordinary sign, there and from there on.
// Thread-safety, cost: table_source.h; one pass, some 300 MB/s.
#pragma once

#include <memory>

#include "rlm/tables/table_source.h"

namespace pmt::rlm {

/// Null if the text's beginning is no such table. Looks at 256 KB at most.
std::unique_ptr<TableSource> delimited_table(std::string_view text);

/// The same of rows without names above them, as /etc/passwd has, told by their width and by a column of numbers or days.
std::unique_ptr<TableSource> nameless_table(std::string_view text);

}  // namespace pmt::rlm
