#include "rlm/tables/table_survey.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include <fmt/format.h>
#include <sqlite3.h>

#include "text/plain_words.h"

namespace pmt::rlm {
namespace {

constexpr std::size_t kLinkedBytesMax = 120, kSpellingsMax = 5, kNameBytesMax = 40, kNameWordsMax = 5;
constexpr std::int64_t kMeasuredMax = 1'000, kSentenceSpacesMin = 3;

/// Counts over one column's cells, of which its type is made.
struct Facts {
  std::int64_t filled = 0, soft_missing = 0;
  std::int64_t measured = 0, sentences = 0;  // of the first ones
  std::int64_t point = 0, comma = 0, point_only = 0, comma_only = 0, point_whole = 0;
  std::int64_t dates = 0, day_first = 0, month_first = 0, ordered = 0;
  std::string unit;
  bool units_differ = false, has_unit = false;
  std::vector<std::string> values;
  bool few = true;

  void take(std::string_view cell) {
    if (is_missing(cell)) return;
    if (may_be_missing(cell)) {
      ++soft_missing;
      return keep(cell);
    }
    ++filled;
    if (measured < kMeasuredMax) {
      ++measured;
      sentences += std::ranges::count(cell, ' ') >= kSentenceSpacesMin ? 1 : 0;
    }
    if (!take_number(cell)) take_date(cell);
    keep(cell);
  }

 private:
  bool take_number(std::string_view cell) {
    if (filled > 200 && point + comma == 0) return false;  // a column of words
    const auto as_point = read_number(cell, DecimalSign::kPoint),
               as_comma = read_number(cell, DecimalSign::kComma);
    point += as_point ? 1 : 0;
    comma += as_comma ? 1 : 0;
    point_only += as_point && !as_comma ? 1 : 0;
    comma_only += as_comma && !as_point ? 1 : 0;
    point_whole += as_point && as_point->whole ? 1 : 0;
    const auto& number = as_point ? as_point : as_comma;
    if (!number) return false;
    if (has_unit && number->unit != unit) units_differ = true;
    unit = number->unit;
    has_unit = true;
    return true;
  }

  void take_date(std::string_view cell) {
    if (filled > 200 && dates == 0) return;
    const auto date = read_date(cell, DayOrder::kMonthFirst);
    if (!date) return;
    ++dates;
    day_first += date->proves_day_first ? 1 : 0;
    month_first += date->proves_month_first ? 1 : 0;
    const auto other = read_date(cell, DayOrder::kDayFirst);
    ordered += other && other->iso != date->iso ? 1 : 0;
  }

  void keep(std::string_view cell) {
    if (!few && values.size() >= 2) return;
    cell = cell.substr(0, kCellBytesMax);
    if (std::ranges::find(values, cell) != values.end()) return;
    if (values.size() == kFewValues) {
      few = false;
      return;
    }
    values.emplace_back(cell);
  }
};

/// Letters, digits and _; no word of SQL, none that is taken.
std::string sql_name(std::string_view written, std::set<std::string>& taken) {
  std::string name;
  for (const char c : written.substr(0, 4 * kNameBytesMax)) {
    const bool kept = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (kept) name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (!kept && !name.empty() && name.back() != '_') name += '_';
    if (name.size() == kNameBytesMax) break;
  }
  while (!name.empty() && name.back() == '_') name.pop_back();
  if (name.empty()) name = "col";
  if (std::isdigit(static_cast<unsigned char>(name[0])) != 0) name = "c_" + name;
  if (sqlite3_keyword_check(name.c_str(), static_cast<int>(name.size())) != 0) name += "_";
  std::string unique = name;
  for (int n = 2; !taken.insert(unique).second; ++n) unique = fmt::format("{}_{}", name, n);
  return unique;
}

/// Nearly all: one of fifty may be odd.
bool most(std::int64_t these, std::int64_t of) {
  return these > 0 && (these == of || (of >= 50 && (of - these) * 50 <= of));
}

void decide_type(const Facts& facts, TableColumn& column) {
  const std::int64_t numbers = std::max(facts.point, facts.comma);
  column.filled = facts.filled;
  column.values = facts.values;
  column.few = facts.few;
  if (most(numbers, facts.filled)) {
    column.decimal_sign =
        facts.comma_only > 0 && facts.point_only == 0 ? DecimalSign::kComma : DecimalSign::kPoint;
    const bool comma = column.decimal_sign == DecimalSign::kComma;
    column.kind = !comma && facts.point_whole == facts.point ? ColumnKind::kInteger : ColumnKind::kReal;
    column.odd = facts.filled - (comma ? facts.comma : facts.point);
    if (!facts.units_differ) column.unit = facts.unit;
  } else if (most(facts.dates, facts.filled)) {
    column.kind = ColumnKind::kDate;
    column.odd = facts.filled - facts.dates;
    const bool day_first = facts.day_first > facts.month_first;
    column.day_order = day_first ? DayOrder::kDayFirst : DayOrder::kMonthFirst;
    column.order_guessed = facts.ordered > 0 && facts.day_first + facts.month_first == 0;
  } else {
    column.filled += facts.soft_missing;  // they are values here
    column.free_text = !column.few && 2 * facts.sentences > facts.measured;
  }
}

class Surveyor {
 public:
  explicit Surveyor(const TableQuestion& question) : question_(question) {
    const auto& words = question.words();
    for (std::size_t begin = 0; begin < words.size(); ++begin) {
      std::string text;
      for (std::size_t end = begin; end < std::min(words.size(), begin + kNameWordsMax) && words[end].name;
           ++end) {
        text += (text.empty() ? "" : " ") + words[end].normal;
        names_.push_back({.begin = begin, .end = end + 1, .text = text});
      }
      if (!words[begin].name && is_abbreviation(words[begin].written))
        names_.push_back({.begin = begin, .end = begin + 1, .text = words[begin].normal});
    }
    for (const QuestionPhrase& phrase : question.phrases()) {
      if (phrase.quoted)
        names_.push_back(
            {.begin = phrase.begin, .end = phrase.end, .text = normal_value(question.written(phrase))});
    }
  }

  void take(std::size_t table, std::span<const RawCell> row) {
    if (facts_.size() <= table) facts_.resize(table + 1), rows_.resize(table + 1);
    ++rows_[table];
    auto& columns = facts_[table];
    for (const RawCell& cell : row) {
      if (columns.size() <= cell.column) columns.resize(cell.column + 1);
      columns[cell.column].take(cell.text);
      link(table, cell);
    }
  }

  TableSurvey result(const TableSource& source) {
    TableSurvey survey;
    std::set<std::string> taken_tables;
    for (std::size_t t = 0; t < facts_.size(); ++t) {
      SurveyedTable table{.name = sql_name(source.tables()[t].name, taken_tables),
                          .columns = {},
                          .rows = rows_[t],
                          .about = source.tables()[t].about};
      std::set<std::string> taken;
      facts_[t].resize(source.tables()[t].columns.size());
      for (std::size_t c = 0; c < facts_[t].size(); ++c) {
        TableColumn column{.written = source.tables()[t].columns[c]};
        column.name = sql_name(column.written, taken);
        decide_type(facts_[t][c], column);
        table.columns.push_back(std::move(column));
      }
      survey.rows += table.rows;
      survey.tables.push_back(std::move(table));
    }
    for (auto& [where, hit] : hits_) survey.hits.push_back(std::move(hit));
    for (const Name& name : names_) {
      for (const auto& [where, rows] : name.rows)
        survey.seen[{name.begin, name.end}].push_back({where.first, where.second, rows});
    }
    return survey;
  }

 private:
  void link(std::size_t table, const RawCell& cell) {
    if (cell.text.empty() || cell.text.size() > kLinkedBytesMax) return;
    const std::string value = normal_value(cell.text);
    if (const auto phrase = question_.phrase_of(value)) {
      ValueHit& hit = hits_[{table, cell.column, *phrase}];
      hit.table = table, hit.column = cell.column, hit.phrase = *phrase;
      ++hit.rows;
      if (hit.spellings.size() < kSpellingsMax &&
          std::ranges::find(hit.spellings, cell.text) == hit.spellings.end())
        hit.spellings.emplace_back(cell.text);
    }
    for (Name& name : names_) {
      if (holds(value, name.text)) ++name.rows[{table, cell.column}];
    }
  }

  /// "LTS", "JP".
  static bool is_abbreviation(const std::string& written) {
    return written.size() >= 2 &&
           std::ranges::all_of(written, [](unsigned char c) { return std::isupper(c) != 0; });
  }

  /// As whole words.
  static bool holds(const std::string& value, const std::string& words) {
    const auto is_edge = [&](std::size_t at) {
      return at >= value.size() || text::kPlainByte[static_cast<unsigned char>(value[at])] == 0;
    };
    for (auto at = value.find(words); at != std::string::npos; at = value.find(words, at + 1)) {
      if ((at == 0 || is_edge(at - 1)) && is_edge(at + words.size())) return true;
    }
    return false;
  }

  const TableQuestion& question_;
  struct Name {
    std::size_t begin, end;  // words of the question
    std::string text;
    std::map<std::pair<std::size_t, std::size_t>, std::int64_t> rows =
        {};  // that hold it, of a table's column
  };
  std::vector<Name> names_;
  std::vector<std::vector<Facts>> facts_;
  std::vector<std::int64_t> rows_;
  std::map<std::tuple<std::size_t, std::size_t, std::size_t>, ValueHit> hits_;
};

}  // namespace

base::Result<TableSurvey> survey_tables(TableSource& source, const TableQuestion& question, Watch& watch) {
  Surveyor surveyor(question);
  TRY(source.read(watch, [&](std::size_t table, std::span<const RawCell> row) -> base::Status {
    surveyor.take(table, row);
    return {};
  }));
  return surveyor.result(source);
}

}  // namespace pmt::rlm
