#include "rlm/tables/table_card.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/utf8.h"
#include "rlm/tables/table_database.h"

namespace pmt::rlm {
namespace {

constexpr std::size_t kCellShownBytes = 24, kValueShownBytes = 40, kSampleRows = 3;

std::string about(const TableColumn& column, std::int64_t rows) {
  std::string text;
  if (column.kind == ColumnKind::kDate) {
    text = fmt::format("date, {} to {}; year: substr({}, 1, 4)", column.min, column.max, column.name);
  } else if (column.is_number()) {
    text = fmt::format("{} to {}", column.min, column.max);
    if (!column.unit.empty()) text += " " + column.unit;
  } else {
    const std::size_t shown =
        column.few ? column.values.size() : std::min<std::size_t>(2, column.values.size());
    for (std::size_t i = 0; i < shown; ++i)
      text += fmt::format("{}'{}'", i == 0 ? "" : ", ", base::cut_utf8(column.values[i], kValueShownBytes));
    if (!column.few)
      text += column.distinct > 0 ? fmt::format(", ... {} values", column.distinct) : std::string(", ...");
  }
  if (column.is_unique() && column.distinct == rows) text += "; unique";
  if (!column.source.empty()) text += "; of the " + column.source;
  std::ranges::replace(text, '\n', ' ');
  return text;
}

}  // namespace

std::string table_card(const SurveyedTable& table, const QueryResult& sample) {
  std::string card = fmt::format("CREATE TABLE {} ( -- {} rows\n", table.name, table.rows);
  const std::size_t shown = std::min(table.columns.size(), kCardColumnsMax);
  for (std::size_t c = 0; c < shown; ++c) {
    const TableColumn& column = table.columns[c];
    card += fmt::format("  {} {}, -- {}\n", column.name, sqlite_type(column.kind), about(column, table.rows));
  }
  card += ");\n";
  for (std::size_t r = 0; r < std::min(sample.rows.size(), kSampleRows); ++r) {
    std::string line;
    for (std::size_t c = 0; c < std::min(shown, sample.rows[r].size()); ++c)
      line += fmt::format("{}{}", c == 0 ? "" : " | ", base::cut_utf8(sample.rows[r][c], kCellShownBytes));
    std::ranges::replace(line, '\n', ' ');
    card += line + "\n";
  }
  return card;
}

}  // namespace pmt::rlm
