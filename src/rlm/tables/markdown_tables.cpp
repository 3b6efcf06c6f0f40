#include "rlm/tables/markdown_tables.h"

#include <algorithm>

#include "rlm/tables/cell_values.h"
#include "rlm/text_lines.h"

namespace pmt::rlm {
namespace {

constexpr std::size_t kTableLineBytesMax = 64 << 10, kTablesMax = 40, kMarkdownBytes = 16 << 20;

bool is_rule(std::string_view line) {
  line = trimmed_cell(line);
  return line.find('-') != std::string_view::npos && line.find('|') != std::string_view::npos &&
         line.find_first_not_of("|:- \t") == std::string_view::npos;
}

bool is_row(std::string_view line) {
  return line.size() <= kTableLineBytesMax && trimmed_cell(line).find('|') != std::string_view::npos;
}

void cut_row(std::string_view line, std::vector<std::string_view>& cells) {
  cells.clear();
  line = trimmed_cell(line);
  if (line.starts_with('|')) line.remove_prefix(1);
  if (line.ends_with('|') && !line.ends_with("\\|")) line.remove_suffix(1);
  std::size_t begin = 0;
  for (std::size_t at = 0; at <= line.size(); ++at) {
    if (at < line.size() && (line[at] != '|' || (at > 0 && line[at - 1] == '\\'))) continue;
    std::string_view cell = trimmed_cell(line.substr(begin, at - begin));
    while (cell.size() > 1 && (cell.front() == '*' || cell.front() == '`') && cell.back() == cell.front())
      cell = cell.substr(1, cell.size() - 2);
    cells.push_back(cell);
    begin = at + 1;
  }
}

class MarkdownTables final : public TableSource {
 public:
  explicit MarkdownTables(std::string_view text) : text_(text) {}
  std::string_view shape() const override { return "Markdown tables"; }

  base::Status read(Watch& watch, const TakeRow& take) override {
    left_out_ = 0;
    prose_bytes_ = 0;
    std::size_t next = 0;
    std::string heading = "records";
    std::string_view before;
    TextLines lines(text_);
    while (!lines.at_end()) {
      const std::size_t begin = lines.at();
      const std::string_view line = lines.next();
      TRY(watch.step(lines.at() - begin));
      if (is_row(line) && is_rule(line) && is_row(before) && next < kTablesMax) {
        prose_bytes_ -= std::min(prose_bytes_, before.size());
        cut_row(before, cells_);
        if (next == tables_.size())
          tables_.push_back({.name = heading, .columns = {cells_.begin(), cells_.end()}});
        TRY(read_rows(next++, lines, watch, take));
        before = {};
        continue;
      }
      if (line.starts_with('#') && line.size() < kCellBytesMax) {
        heading = std::string(trimmed_cell(line.substr(std::min(line.size(), line.find_first_not_of('#')))));
      } else {
        prose_bytes_ += trimmed_cell(line).size();
      }
      before = line;
    }
    return {};
  }

 private:
  base::Status read_rows(std::size_t table, TextLines& lines, Watch& watch, const TakeRow& take) {
    const std::size_t width = tables_[table].columns.size();
    while (!lines.at_end()) {
      TextLines next = lines;
      const std::string_view line = next.next();
      if (!is_row(line)) return {};
      TRY(watch.step(next.at() - lines.at()));
      lines = next;
      cut_row(line, cells_);
      if (cells_.size() != width || width > kTableColumnsMax) {
        ++left_out_;
        continue;
      }
      row_.clear();
      for (std::size_t i = 0; i < width; ++i) row_.push_back({i, cells_[i]});
      TRY(take(table, row_));
    }
    return {};
  }

  std::string_view text_;
  std::vector<std::string_view> cells_;
  std::vector<RawCell> row_;
};

}  // namespace

std::unique_ptr<TableSource> markdown_tables(std::string_view text) {
  TextLines lines(text.substr(0, kMarkdownBytes));
  std::string_view before;
  while (!lines.at_end()) {
    const std::string_view line = lines.next();
    if (is_row(line) && is_rule(line) && is_row(before)) return std::make_unique<MarkdownTables>(text);
    before = line;
  }
  return nullptr;
}

}  // namespace pmt::rlm
