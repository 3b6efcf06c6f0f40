#include "rlm/tables/delimited_table.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "rlm/tables/cell_values.h"
#include "rlm/text_lines.h"
#include "text/plain_words.h"

namespace pmt::rlm {
namespace {

constexpr std::size_t kQuotedBytesMax = 64 << 10, kSniffedBytes = 256 << 10, kHeaderCellMax = 80,
                      kSureCellMax = 600, kRowsMin = 4;

/// Instead of a delimiter: columns that are aligned by eye, with tabs or two spaces and more between them.
constexpr char kGap = ' ';

/// Cuts a text into rows of cells.
class RowCutter {
 public:
  RowCutter(std::string_view text, std::size_t at, char delimiter)
      : text_(text), at_(at), delimiter_(delimiter) {}

  bool at_end() const { return at_ >= text_.size(); }
  std::size_t at() const { return at_; }

  /// The next row's cells; views into the text, or into this where quotes were doubled.
  const std::vector<std::string_view>& next() {
    cells_.clear();
    used_ = 0;
    while (true) {
      cells_.push_back(cell());
      if (at_ < text_.size() && delimiter_ == kGap && skip_gap()) continue;
      if (at_ < text_.size() && delimiter_ != kGap && text_[at_] == delimiter_) {
        ++at_;
        continue;
      }
      at_ = std::min(text_.size(), text_.find('\n', at_));
      if (at_ < text_.size()) ++at_;
      return cells_;
    }
  }

 private:
  static bool is_space(char c) { return c == ' ' || c == '\t'; }
  /// Past the blanks between two cells; false: they end the line.
  bool skip_gap() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    return at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '\r';
  }
  std::string_view aligned_cell() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    const std::size_t begin = at_;
    for (; at_ < text_.size() && text_[at_] != '\n'; ++at_) {
      const bool two = text_[at_] == ' ' && at_ + 1 < text_.size() && is_space(text_[at_ + 1]);
      if (text_[at_] == '\t' || two) break;
    }
    return trimmed_cell(text_.substr(begin, at_ - begin));
  }

  std::string_view cell() {
    if (delimiter_ == kGap) return aligned_cell();
    if (at_ < text_.size() && text_[at_] == '"' && !quotes_are_signs_) {
      if (const auto end = closing_quote(); end != std::string_view::npos) return quoted(end);
      quotes_are_signs_ = true;
    }
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != delimiter_ && text_[at_] != '\n') ++at_;
    return trimmed_cell(text_.substr(begin, at_ - begin));
  }

  /// Where the quote stands that ends the cell; npos: nowhere near.
  std::size_t closing_quote() const {
    const std::size_t limit = std::min(text_.size(), at_ + kQuotedBytesMax);
    for (std::size_t i = at_ + 1; i < limit; ++i) {
      if (text_[i] != '"') continue;
      if (i + 1 < text_.size() && text_[i + 1] == '"') {
        ++i;
        continue;
      }
      std::size_t after = i + 1;
      if (after < text_.size() && text_[after] == '\r') ++after;
      if (after == text_.size() || text_[after] == delimiter_ || text_[after] == '\n') return i;
    }
    return std::string_view::npos;
  }

  std::string_view quoted(std::size_t end) {
    const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    if (at_ < text_.size() && text_[at_] == '\r') ++at_;
    if (inside.find("\"\"") == std::string_view::npos) return inside;
    if (used_ == unescaped_.size()) unescaped_.push_back(std::make_unique<std::string>());
    std::string& out = *unescaped_[used_++];
    out.clear();
    for (std::size_t i = 0; i < inside.size(); ++i) {
      out += inside[i];
      if (inside[i] == '"') ++i;
    }
    return out;
  }

  std::string_view text_;
  std::size_t at_;
  char delimiter_;
  bool quotes_are_signs_ = false;
  std::vector<std::string_view> cells_;
  std::vector<std::unique_ptr<std::string>> unescaped_;  // of this row, where they stay
  std::size_t used_ = 0;
};

bool is_blank(const std::vector<std::string_view>& cells) {
  return std::ranges::all_of(cells, [](std::string_view cell) { return cell.empty(); });
}

/// "NAME   READY   STATUS", as tools print above what they list: not the first line of a log.
bool is_shouted(const std::vector<std::string_view>& cells) {
  return std::ranges::all_of(cells, [](std::string_view cell) {
    return std::ranges::none_of(cell, [](unsigned char c) { return std::islower(c) != 0; });
  });
}

/// Names that differ, none of them a number or a day. `sure`: no sentence looks like this, as with tabs or behind a "#".
bool is_header(const std::vector<std::string_view>& cells, bool sure) {
  std::set<std::string> names;
  for (const std::string_view cell : cells) {
    const bool letter =
        std::ranges::any_of(cell, [](unsigned char c) { return std::isalpha(c) != 0 || c >= 0x80; });
    if (!letter || cell.size() > (sure ? kSureCellMax : kHeaderCellMax) ||
        cell.find('\n') != std::string_view::npos)
      return false;
    if (read_date(cell, DayOrder::kDayFirst) || cell.find_first_of("{}=<>") != std::string_view::npos)
      return false;
    // A sentence with a comma is no header; between tabs, or in a comment, one name of several may explain itself.
    const auto words = std::ranges::count(cell, ' ') + 1;
    const bool explains = sure && cells.size() > 2;
    if (!explains && (words > (cells.size() == 2 && !sure ? 3 : 8) || (cell.back() == '.' && words > 1)))
      return false;
    if (!names.insert(text::lower(cell)).second) return false;
  }
  return cells.size() >= 2 && cells.size() <= kTableColumnsMax;
}

class DelimitedTable final : public TableSource {
 public:
  /// `comment`: the names of the columns stand in this line of comment, and the rows begin at `at`. Empty: they are the
  /// first row.
  DelimitedTable(std::string_view text, std::size_t at, char delimiter, std::string_view comment = {})
      : text_(text), at_(at), delimiter_(delimiter), comment_(comment) {}

  /// How many cells a row has; 0: this is no table.
  std::size_t sniff() {
    RowCutter rows = sniffed();
    if (rows.at_end()) return 0;
    RowCutter names(comment_, 0, delimiter_);
    auto header = comment_.empty() ? rows.next() : names.next();
    for (std::string_view& name : header) {
      if (!comment_.empty() && name.starts_with('<') && name.ends_with('>') && name.size() > 2)
        name = name.substr(1, name.size() - 2);
    }
    if (!is_header(header, delimiter_ == '\t' || !comment_.empty())) return 0;
    if (delimiter_ == kGap && (header.size() < 3 || (comment_.empty() && !is_shouted(header)))) return 0;
    tables_ = {{.name = "records", .columns = {header.begin(), header.end()}}};
    std::size_t fit = 0, full = 0, all = 0;
    std::map<std::size_t, std::size_t> widths;
    sniff_rows(rows, [&](const std::vector<std::string_view>& cells) {
      ++all;
      ++widths[cells.size()];
      full += cells.size() == header.size() ? 1 : 0;
      fit += fits(cells.size(), header.size()) ? 1 : 0;
    });
    // Two cells a row is what prose has, too.
    const std::size_t share = header.size() == 2 ? 98 : 90;
    if (fit < kRowsMin || 100 * fit < share * all) return 0;
    return (full >= kRowsMin && 4 * full >= all) || is_ragged(widths, all) ? header.size() : 0;
  }

  /// The same of a text without names: rows of one width, and of a kind in some column. The columns are called by number.
  std::size_t sniff_nameless() {
    constexpr std::size_t kNamelessRowsMin = 8, kNamelessWidthMin = 3;
    RowCutter rows = sniffed();
    std::size_t width = 0, all = 0, fit = 0;
    std::vector<std::size_t> told;  // rows with a number or a day, of each column
    sniff_rows(rows, [&](const std::vector<std::string_view>& cells) {
      if (width == 0) width = cells.size(), told.resize(width);
      ++all;
      if (cells.size() != width) return;
      ++fit;
      for (std::size_t c = 0; c < width; ++c) {
        const bool tells =
            read_number(cells[c], DecimalSign::kPoint) || read_date(cells[c], DayOrder::kDayFirst);
        told[c] += tells ? 1 : 0;
      }
    });
    const bool typed = std::ranges::any_of(told, [&](std::size_t n) { return n == fit; });
    if (width < kNamelessWidthMin || width > kTableColumnsMax || fit < kNamelessRowsMin ||
        100 * fit < 98 * all || !typed)
      return 0;
    nameless_ = true;
    tables_ = {{.name = "records", .columns = {}}};
    for (std::size_t c = 1; c <= width; ++c) tables_.front().columns.push_back("column_" + std::to_string(c));
    return width;
  }

  std::string_view shape() const override {
    if (delimiter_ == kGap) return "aligned columns";
    return delimiter_ == ',' ? "CSV" : delimiter_ == '\t' ? "TSV" : "delimited text";
  }

  base::Status read(Watch& watch, const TakeRow& take) override {
    left_out_ = 0;
    RowCutter rows(text_, at_, delimiter_);
    if (comment_.empty() && !nameless_) rows.next();
    std::vector<RawCell> row;
    const std::size_t width = tables_.front().columns.size();
    while (!rows.at_end()) {
      const std::size_t begin = rows.at();
      const auto& cells = rows.next();
      TRY(watch.step(rows.at() - begin));
      if (is_blank(cells) && cells.size() < width) continue;
      if (is_comment(cells)) continue;
      if (!fits(cells.size(), width)) {
        ++left_out_;
        continue;
      }
      row.clear();
      for (std::size_t i = 0; i < cells.size(); ++i) row.push_back({i, cells[i]});
      TRY(take(0, row));
    }
    return {};
  }

 private:
  /// The text's beginning.
  RowCutter sniffed() const {
    return {text_.substr(0, std::min(text_.size(), at_ + kSniffedBytes)), at_, delimiter_};
  }
  /// Each whole row of it that says something.
  template <typename Take>
  void sniff_rows(RowCutter& rows, const Take& take) const {
    while (!rows.at_end()) {
      const auto& cells = rows.next();
      if (rows.at_end() && rows.at() < text_.size()) break;  // cut off by the end of what is looked at
      if ((is_blank(cells) && cells.size() == 1) || is_comment(cells)) continue;
      take(cells);
    }
  }

  /// Some leave out what is missing at a row's end. Where columns are aligned by eye, any could be missing.
  bool fits(std::size_t cells, std::size_t width) const {
    if (delimiter_ == kGap) return cells == width;
    return cells == width || (cells < width && cells >= 2 && 2 * cells >= width);
  }

  /// Where few rows have the last columns: they still are as long as one another, and longer than a sentence's parts.
  bool is_ragged(const std::map<std::size_t, std::size_t>& widths, std::size_t all) const {
    constexpr std::size_t kWidthMin = 4, kWidthsMax = 4;
    const auto usual = std::ranges::max_element(widths, {}, [](const auto& width) { return width.second; });
    return tables_.front().columns.size() >= kWidthMin && widths.size() <= kWidthsMax && usual->first >= 3 &&
           5 * usual->second >= 2 * all;
  }
  bool is_comment(const std::vector<std::string_view>& cells) const {
    return !comment_.empty() && cells.front().starts_with('#');
  }

  std::string_view text_;
  std::size_t at_;
  char delimiter_;
  std::string_view comment_;
  bool nameless_ = false;
};

/// Of several readings of a text the one with the most columns, the first of them.
struct Widest {
  std::unique_ptr<DelimitedTable> table = nullptr;
  std::size_t width = 0;

  void take(std::unique_ptr<DelimitedTable> other, std::size_t (DelimitedTable::*sniff)()) {
    const std::size_t wide = (other.get()->*sniff)();
    if (wide <= width) return;
    width = wide;
    table = std::move(other);
  }
};

struct Beginning {
  std::size_t at = 0;
  std::string_view comment = {};  // the last line of it, without its "#"
};

/// Past a byte order mark, empty lines and comments.
Beginning beginning(std::string_view text) {
  Beginning begin{.at = text.starts_with("\xef\xbb\xbf") ? std::size_t{3} : 0};
  for (int lines = 0; lines < 50; ++lines) {
    TextLines walk(text, begin.at);
    if (walk.at_end()) break;
    const std::string_view line = trimmed_cell(walk.next());
    if (!line.empty() && !line.starts_with('#')) break;
    if (!line.empty()) begin.comment = line.substr(std::min(line.size(), line.find_first_not_of("# ")));
    begin.at = walk.at();
  }
  return begin;
}

}  // namespace

std::unique_ptr<TableSource> delimited_table(std::string_view text) {
  const auto [at, comment] = beginning(text);
  Widest widest;
  for (const char delimiter : {',', '\t', ';', '|', kGap}) {
    if (delimiter == kGap && widest.table != nullptr) break;
    if (!comment.empty() && (delimiter == kGap || comment.find(delimiter) != std::string_view::npos))
      widest.take(std::make_unique<DelimitedTable>(text, at, delimiter, comment), &DelimitedTable::sniff);
    widest.take(std::make_unique<DelimitedTable>(text, at, delimiter), &DelimitedTable::sniff);
  }
  return std::move(widest.table);
}

std::unique_ptr<TableSource> nameless_table(std::string_view text) {
  const std::size_t at = beginning(text).at;
  Widest widest;
  for (const char delimiter : {',', '\t', ';', '|', ':'})
    widest.take(std::make_unique<DelimitedTable>(text, at, delimiter), &DelimitedTable::sniff_nameless);
  return std::move(widest.table);
}

}  // namespace pmt::rlm
