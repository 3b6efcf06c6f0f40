// What all rows of a text's tables say of its columns, read once: types, missing values, few distinct values; and
// where the question's words stand as values. Nothing is kept of the rest, so a text of any size takes the same memory.
// Thread-safety: pure functions. Cost: one pass of the source, some 30 MB/s.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "rlm/tables/cell_values.h"
#include "rlm/tables/table_question.h"
#include "rlm/tables/table_source.h"

namespace pmt::rlm {

enum class ColumnKind : std::uint8_t { kText, kInteger, kReal, kDate };

struct TableColumn {
  std::string name = {};     // in SQL
  std::string written = {};  // in the text
  ColumnKind kind = ColumnKind::kText;
  DecimalSign decimal_sign = DecimalSign::kPoint;
  DayOrder day_order = DayOrder::kMonthFirst;
  bool order_guessed = false;  // no day of the column says which number is the month
  std::int64_t filled = 0;     // rows with a value
  std::int64_t odd = 0;   // of them such as are no number (or day) though nearly all others are: NULL in SQL
  std::string unit = {};  // "$", "%", ...: of all of them; ""
  std::vector<std::string> values = {};  // all distinct ones, if they are kFewValues at most; else some
  bool few = false;                      // `values` are all
  bool free_text = false;                // sentences, most of them
  std::string min = {}, max = {};        // of numbers and days, once loaded; ""
  std::int64_t distinct = -1;            // values, once loaded; -1: not counted
  std::string source = {};  // of a column that another table lent: the column that refers to it; ""
  bool is_unique() const { return distinct > 1 && distinct == filled; }
  bool is_number() const { return kind == ColumnKind::kInteger || kind == ColumnKind::kReal; }
};
inline constexpr std::size_t kFewValues = 12;

struct SurveyedTable {
  std::string name;  // in SQL
  std::vector<TableColumn> columns;
  std::int64_t rows = 0;
  std::vector<std::string> about = {};  // RawTable's
};

/// A phrase of the question that is a value of a column.
struct ValueHit {
  std::size_t table = 0, column = 0, phrase = 0;
  std::int64_t rows = 0;
  std::vector<std::string> spellings;  // as they stand; some
};

/// In how many rows a column's value holds a name, beside other words or alone.
struct PartHit {
  std::size_t table = 0, column = 0;
  std::int64_t rows = 0;
};

struct TableSurvey {
  std::vector<SurveyedTable> tables;
  std::vector<ValueHit> hits;
  /// Names and abbreviations of the question, by their words [begin, end), that some value holds.
  std::map<std::pair<std::size_t, std::size_t>, std::vector<PartHit>> seen;
  std::int64_t rows = 0;
};

/// Errors: the watch's.
base::Result<TableSurvey> survey_tables(TableSource& source, const TableQuestion& question, Watch& watch);

}  // namespace pmt::rlm
