#include "rlm/tables/recogniser.h"

#include "rlm/tables/delimited_table.h"
#include "rlm/tables/json_table.h"
#include "rlm/tables/log_table.h"
#include "rlm/tables/markdown_tables.h"
#include "rlm/tables/sentence_table.h"

namespace pmt::rlm {

std::unique_ptr<TableSource> recognise_tables(std::string_view text) {
  for (const auto shape :
       {json_table, markdown_tables, delimited_table, log_table, nameless_table, sentence_table}) {
    if (auto source = shape(text)) return source;
  }
  return nullptr;
}

}  // namespace pmt::rlm
