// Markdown tables among prose: a row of names between bars, a rule, then rows; each named by the heading above it.
// Thread-safety, cost: table_source.h; one pass.
#pragma once

#include <memory>

#include "rlm/tables/table_source.h"

namespace pmt::rlm {

/// Null if the text's first 16 MB hold no such rule.
std::unique_ptr<TableSource> markdown_tables(std::string_view text);

}  // namespace pmt::rlm
