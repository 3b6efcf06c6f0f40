#include <fmt/format.h>

#include "audit/audit.h"
#include "audit/text_table.h"
#include "audit/verdict.h"

namespace pmt::audit {
namespace {

// 25 + 12 + 4 x 15 + 11 and six gaps of two make kTextColumns. Titles longer than a column break in two.
const std::vector<std::size_t> kWidths = {25, 12, 15, 15, 15, 15, 11};
constexpr base::Surface kOrder[] = {base::Surface::kPermutation, base::Surface::kRlm, base::Surface::kUnified,
                                    base::Surface::kCompletions};

std::string cell_text(const Cell& cell) {
  return cell.state == "used" ? fmt::format("used {}", cell.count) : cell.state;
}

std::vector<std::string> cells_of(const RowResult& row) {
  // The counter is the same along a row, so it stands once, below the name.
  const bool counted = !row.counter_name.empty();
  std::vector<std::string> cells = {counted ? fmt::format("{}\n[{}]", row.name, row.counter_name) : row.name,
                                    row.implemented};
  for (const base::Surface surface : kOrder) {
    cells.push_back(cell_text(row.cells[static_cast<std::size_t>(surface)]));
  }
  std::string ready = row.production_ready ? "yes" : "no: ";
  for (std::size_t i = 0; i < row.missing.size(); ++i) ready += (i > 0 ? "; " : "") + row.missing[i];
  cells.push_back(ready);
  return cells;
}

}  // namespace

std::string to_text(const Audit& audit) {
  std::vector<std::vector<std::string>> rows = {
      {"cache [counter of 'used']", "implemented", "Permutation Engine", "Recursive LanguageModel",
       "unified pipeline", "plain completions", "production ready"}};
  for (const RowResult& row : audit.rows) rows.push_back(cells_of(row));
  std::string out = text_table(kWidths, rows) + "\n";
  for (const std::string& line : wrap(audit.verdict, kTextColumns)) out += line + "\n";
  return out;
}

}  // namespace pmt::audit
