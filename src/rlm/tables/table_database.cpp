#include "rlm/tables/table_database.h"

#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/utf8.h"
#include "text/plain_words.h"

namespace pmt::rlm {
namespace {

using base::Code;
using base::Error;

constexpr int kStepsBetweenLooks = 10'000, kShownBytesMax = 300;

/// None of them makes a text longer than what is read, but for group_concat, which SQLITE_LIMIT_LENGTH bounds.
constexpr std::array<std::string_view, 30> kFunctions = {
    "count",    "sum",       "total",    "avg",          "min",       "max",  "abs",   "round",
    "lower",    "upper",     "length",   "substr",       "substring", "trim", "ltrim", "rtrim",
    "like",     "instr",     "coalesce", "ifnull",       "nullif",    "iif",  "date",  "time",
    "datetime", "julianday", "strftime", "group_concat", "unixepoch", "sign"};

/// Text in another encoding would be refused by whoever is told of it.
std::string_view kept(std::string_view text) {
  return base::cut_utf8(text, kCellBytesMax);
}

struct Finalizer {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalizer>;

std::string shown(sqlite3_stmt* statement, int column) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_NULL:
      return kNullText;
    case SQLITE_FLOAT: {
      const double value = sqlite3_column_double(statement, column);
      std::string text = fmt::format("{:.4f}", value);
      while (text.back() == '0') text.pop_back();
      if (text.back() == '.') text.pop_back();
      return text == "-0" ? "0" : text;
    }
    default:
      break;
  }
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
  const auto bytes = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
  return text == nullptr ? kNullText : std::string(base::cut_utf8({text, bytes}, kShownBytesMax));
}

}  // namespace

const char* sqlite_type(ColumnKind kind) {
  switch (kind) {
    case ColumnKind::kInteger:
      return "INTEGER";
    case ColumnKind::kReal:
      return "REAL";
    case ColumnKind::kText:
    case ColumnKind::kDate:
      break;
  }
  return "TEXT";
}

/// What SQLite asks while a query is prepared and run.
struct TableDatabase::Guard {
  std::set<std::string, std::less<>> tables;
  bool reads_table = false;
  std::string refused = {};  // what was, in words
  Watch* watch = nullptr;
  base::Status ended = {};
  std::int64_t steps_left = 0, memory_max = 0;

  static int authorize(void* self, int action, const char* first, const char* second, const char*,
                       const char*) {
    auto& guard = *static_cast<Guard*>(self);
    const std::string_view name = first == nullptr ? "" : first, function = second == nullptr ? "" : second;
    if (action == SQLITE_SELECT) return SQLITE_OK;
    if (action == SQLITE_READ && guard.tables.contains(name)) {
      guard.reads_table = true;
      return SQLITE_OK;
    }
    // A subquery's own columns have no table.
    if (action == SQLITE_READ && name.empty()) return SQLITE_OK;
    if (action == SQLITE_FUNCTION && std::ranges::find(kFunctions, text::lower(function)) != kFunctions.end())
      return SQLITE_OK;
    guard.refused = action == SQLITE_READ       ? fmt::format("no such table: {}", name)
                    : action == SQLITE_FUNCTION ? fmt::format("the function {} is not allowed", function)
                                                : "only one SELECT over these tables is allowed";
    return SQLITE_DENY;
  }

  static int progress(void* self) {
    auto& guard = *static_cast<Guard*>(self);
    guard.steps_left -= kStepsBetweenLooks;
    if (guard.watch != nullptr && guard.ended) guard.ended = guard.watch->look();
    if (!guard.ended) return 1;
    if (guard.steps_left > 0 && sqlite3_memory_used() <= guard.memory_max) return 0;
    guard.ended = Error{Code::kTooLarge, "the query takes too long over these tables"};
    return 1;
  }
};

bool QueryResult::is_empty() const {
  return std::ranges::all_of(rows, [](const auto& row) {
    return std::ranges::all_of(row, [](const std::string& value) { return value == kNullText; });
  });
}

TableDatabase::TableDatabase(sqlite3* db, QueryLimits limits)
    : db_(db), limits_(limits), guard_(std::make_unique<Guard>()) {}

TableDatabase::~TableDatabase() {
  sqlite3_finalize(insert_);
  sqlite3_close(db_);
}

base::Error TableDatabase::error(const std::string& what) const {
  return Error{Code::kInternal, fmt::format("{}: {}", what, sqlite3_errmsg(db_))};
}

base::Result<std::unique_ptr<TableDatabase>> TableDatabase::open(QueryLimits limits) {
  sqlite3* db = nullptr;
  const int opened = sqlite3_open_v2(
      ":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<TableDatabase> out(new TableDatabase(db, limits));
  if (opened != SQLITE_OK) return out->error("SQLite can't be opened");
  TRY(out->execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;"));
  return out;
}

base::Status TableDatabase::execute(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return error("SQLite");
  return {};
}

base::Status TableDatabase::create(const SurveyedTable& table) {
  std::string columns;
  for (const TableColumn& column : table.columns)
    columns +=
        fmt::format("{}\"{}\" {}{}", columns.empty() ? "" : ", ", column.name, sqlite_type(column.kind),
                    column.kind == ColumnKind::kText ? " COLLATE NOCASE" : "");
  if (columns.empty()) columns = "nothing";  // no row of it could be read
  return execute(fmt::format("CREATE TABLE \"{}\" ({})", table.name, columns));
}

base::Status TableDatabase::begin_rows(const SurveyedTable& table) {
  std::string marks;
  for (std::size_t i = 0; i < table.columns.size(); ++i) marks += i == 0 ? "?" : ", ?";
  const std::string sql = fmt::format("INSERT INTO \"{}\" VALUES ({})", table.name, marks);
  if (sqlite3_prepare_v3(db_, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &insert_, nullptr) != SQLITE_OK)
    return error("SQLite");
  return {};
}

base::Status TableDatabase::bind(int at, std::string_view text, const TableColumn& column) {
  int bound = SQLITE_OK;
  if (is_missing(text)) return {};
  if (column.is_number()) {
    const auto number = read_number(text, column.decimal_sign);
    if (!number) return {};
    bound = column.kind == ColumnKind::kInteger
                ? sqlite3_bind_int64(insert_, at, static_cast<sqlite3_int64>(number->value))
                : sqlite3_bind_double(insert_, at, number->value);
  } else if (column.kind == ColumnKind::kDate) {
    const auto date = read_date(text, column.day_order);
    if (!date) return {};
    bound = sqlite3_bind_text(insert_, at, date->iso.data(), static_cast<int>(date->iso.size()),
                              SQLITE_TRANSIENT);
  } else {
    const std::string_view value = kept(text);
    bound = sqlite3_bind_text(insert_, at, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
  }
  return bound == SQLITE_OK ? base::Status() : error("SQLite");
}

base::Status TableDatabase::add_row(std::span<const RawCell> row, const SurveyedTable& table) {
  sqlite3_clear_bindings(insert_);
  for (const RawCell& cell : row) {
    if (cell.column < table.columns.size())
      TRY(bind(static_cast<int>(cell.column) + 1, cell.text, table.columns[cell.column]));
  }
  const int stepped = sqlite3_step(insert_);
  sqlite3_reset(insert_);
  return stepped == SQLITE_DONE ? base::Status() : error("SQLite");
}

base::Status TableDatabase::end_rows() {
  sqlite3_finalize(std::exchange(insert_, nullptr));
  return {};
}

base::Status TableDatabase::seal(const std::vector<SurveyedTable>& tables) {
  TRY(execute("PRAGMA query_only = ON"));
  for (const SurveyedTable& table : tables) guard_->tables.insert(table.name);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  const std::pair<int, int> limits[] = {
      {SQLITE_LIMIT_ATTACHED, 0},        {SQLITE_LIMIT_COMPOUND_SELECT, 4},
      {SQLITE_LIMIT_EXPR_DEPTH, 60},     {SQLITE_LIMIT_FUNCTION_ARG, 8},
      {SQLITE_LIMIT_LENGTH, 1 << 20},    {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200},
      {SQLITE_LIMIT_VDBE_OP, 20'000},    {SQLITE_LIMIT_TRIGGER_DEPTH, 0},
      {SQLITE_LIMIT_VARIABLE_NUMBER, 0}, {SQLITE_LIMIT_WORKER_THREADS, 0}};
  for (const auto& [limit, value] : limits) sqlite3_limit(db_, limit, value);
  sqlite3_set_authorizer(db_, &Guard::authorize, guard_.get());
  sqlite3_progress_handler(db_, kStepsBetweenLooks, &Guard::progress, guard_.get());
  return {};
}

base::Result<QueryResult> TableDatabase::select(const std::string& sql, Watch& watch) {
  Guard& guard = *guard_;
  guard.refused.clear();
  guard.reads_table = false;
  guard.watch = &watch;
  guard.ended = {};
  guard.steps_left = limits_.steps_max;
  guard.memory_max = sqlite3_memory_used() + limits_.memory_bytes_max;
  if (sql.size() > limits_.sql_bytes_max) return base::invalid("the query is too long", "");
  sqlite3_stmt* raw = nullptr;
  const char* tail = nullptr;
  const int prepared = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), 0, &raw, &tail);
  const Statement statement(raw);
  if (prepared != SQLITE_OK) {
    if (!guard.ended) return guard.ended.error();
    return base::invalid(guard.refused.empty() ? sqlite3_errmsg(db_) : guard.refused, "");
  }
  const std::string_view rest(tail, static_cast<std::size_t>(sql.data() + sql.size() - tail));
  if (raw == nullptr || sqlite3_stmt_readonly(raw) == 0 || sqlite3_stmt_isexplain(raw) != 0 ||
      sqlite3_column_count(raw) == 0 || rest.find_first_not_of(" \t\r\n;") != std::string_view::npos) {
    return base::invalid("only one SELECT over these tables is allowed", "");
  }
  return fetch(raw, guard);
}

base::Result<QueryResult> TableDatabase::fetch(sqlite3_stmt* statement, Guard& guard) {
  QueryResult result;
  result.reads_table = guard.reads_table;
  const int width = sqlite3_column_count(statement);
  for (int i = 0; i < width; ++i) result.columns.emplace_back(sqlite3_column_name(statement, i));
  while (true) {
    const int stepped = sqlite3_step(statement);
    if (stepped == SQLITE_DONE) return result;
    if (stepped != SQLITE_ROW) {
      if (!guard.ended) return guard.ended.error();
      return base::invalid(sqlite3_errmsg(db_), "");
    }
    if (result.rows.size() == kResultRowsMax) {
      result.more = true;
      return result;
    }
    std::vector<std::string> row;
    for (int i = 0; i < width; ++i) row.push_back(shown(statement, i));
    if (std::ranges::find(result.rows, row) == result.rows.end()) result.rows.push_back(std::move(row));
  }
}

}  // namespace pmt::rlm
