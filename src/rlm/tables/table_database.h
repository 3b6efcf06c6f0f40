// Tables in SQLite's memory that a model's SELECT may read, and nothing else may be done with: after seal() an
// authorizer allows SELECT, reading these tables' columns and a list of functions; writing, ATTACH, PRAGMA, recursion,
// schema tables and extensions are refused when a query is prepared. A query ends at its limit of steps or memory, at
// the watch's, or after kResultRowsMax rows.
//
// Thread-safety: one thread's. Errors: kInvalidArgument, the query's, with what SQLite (or the guard) says; kTooLarge,
// the limits'; the watch's. Cost: as SQLite; a step is checked every 10,000.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rlm/tables/table_survey.h"

struct sqlite3;
struct sqlite3_stmt;

namespace pmt::rlm {

/// What a column of this kind is declared as, and shown as.
const char* sqlite_type(ColumnKind kind);

inline constexpr std::size_t kResultRowsMax = 50;

struct QueryLimits {
  std::int64_t steps_max = 200'000'000;         // of SQLite's machine: some seconds
  std::int64_t memory_bytes_max = 512LL << 20;  // over what the process's SQLite held when it began
  std::size_t sql_bytes_max = 8'000;
};

struct QueryResult {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  // at most kResultRowsMax; "NULL" as null_text
  bool more = false;                           // there were more rows
  bool reads_table = true;                     // else what it says comes from its writer
  bool is_empty() const;                       // no row, or NULL alone
};
inline constexpr char kNullText[] = "NULL";

class TableDatabase {
 public:
  /// Errors: kInternal, SQLite's.
  static base::Result<std::unique_ptr<TableDatabase>> open(QueryLimits limits = {});
  ~TableDatabase();
  TableDatabase(const TableDatabase&) = delete;
  TableDatabase& operator=(const TableDatabase&) = delete;

  /// Requires: not sealed, for all three.
  base::Status create(const SurveyedTable& table);
  /// Values as the columns' types want them; none: NULL.
  base::Status begin_rows(const SurveyedTable& table);
  base::Status add_row(std::span<const RawCell> row, const SurveyedTable& table);
  base::Status end_rows();
  /// Our own SQL.
  base::Status execute(const std::string& sql);

  /// From here on only select() changes nothing and works.
  base::Status seal(const std::vector<SurveyedTable>& tables);
  base::Result<QueryResult> select(const std::string& sql, Watch& watch);

 private:
  struct Guard;
  TableDatabase(sqlite3* db, QueryLimits limits);
  base::Error error(const std::string& what) const;
  base::Status bind(int at, std::string_view text, const TableColumn& column);
  base::Result<QueryResult> fetch(sqlite3_stmt* statement, Guard& guard);

  sqlite3* db_;
  sqlite3_stmt* insert_ = nullptr;
  QueryLimits limits_;
  std::unique_ptr<Guard> guard_;
};

}  // namespace pmt::rlm
