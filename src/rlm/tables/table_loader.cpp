#include "rlm/tables/table_loader.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace pmt::rlm {
namespace {

constexpr std::int64_t kCountedRowsMax = 300'000, kWidenedRowsMax = 100'000;
constexpr std::size_t kLentMax = 40;
constexpr double kReferenceShare = .98;  // of a column's values that must be keys of the other table

std::int64_t integer(const std::string& text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

class Loader {
 public:
  Loader(TableDatabase& database, TableSurvey& survey, Watch& watch)
      : db_(database), survey_(survey), watch_(watch) {}

  base::Status load(TableSource& source) {
    TRY(db_.execute("BEGIN"));
    for (const SurveyedTable& table : survey_.tables) TRY(db_.create(table));
    TRY(fill(source));
    return db_.execute("COMMIT");
  }

  base::Status count(SurveyedTable& table) {
    if (table.columns.empty()) return {};
    std::string asked;
    for (const TableColumn& column : table.columns) {
      const bool ranged = column.kind != ColumnKind::kText;
      asked += asked.empty() ? "" : ", ";
      asked += ranged ? fmt::format("MIN(\"{0}\"), MAX(\"{0}\")", column.name) : std::string("NULL, NULL");
      asked += table.rows <= kCountedRowsMax ? fmt::format(", COUNT(DISTINCT \"{}\")", column.name)
                                             : std::string(", NULL");
    }
    TRY_ASSIGN(const QueryResult result,
               db_.select(fmt::format("SELECT {} FROM \"{}\"", asked, table.name), watch_));
    for (std::size_t c = 0; c < table.columns.size() && !result.rows.empty(); ++c) {
      const auto value = [&](std::size_t i) {
        return result.rows[0][3 * c + i] == kNullText ? std::string() : result.rows[0][3 * c + i];
      };
      table.columns[c].min = value(0);
      table.columns[c].max = value(1);
      if (!value(2).empty()) table.columns[c].distinct = integer(value(2));
    }
    return {};
  }

  /// Those that refer to none first: what they lend may be lent on.
  base::Status widen() {
    std::vector<std::pair<std::size_t, std::vector<Reference>>> all;
    for (std::size_t t = 0; t < survey_.tables.size(); ++t) {
      TRY_ASSIGN(auto references, references_of(t));
      if (!references.empty()) all.emplace_back(t, std::move(references));
    }
    std::ranges::stable_sort(all, {}, [](const auto& one) { return one.second.size(); });
    for (const auto& [table, references] : all) TRY(widen(table, references));
    return {};
  }

 private:
  base::Status fill(TableSource& source) {
    std::size_t current = SIZE_MAX;
    const base::Status read =
        source.read(watch_, [&](std::size_t t, std::span<const RawCell> row) -> base::Status {
          if (t != current) {
            TRY(db_.end_rows());
            TRY(db_.begin_rows(survey_.tables[t]));
            current = t;
          }
          return db_.add_row(row, survey_.tables[t]);
        });
    if (!read) return read;
    return db_.end_rows();
  }

  /// `column` holds the other table's `key`.
  struct Reference {
    std::size_t column, table, key;
  };

  base::Result<std::vector<Reference>> references_of(std::size_t t) {
    std::vector<Reference> out;
    const SurveyedTable& table = survey_.tables[t];
    for (std::size_t c = 0; c < table.columns.size() && table.rows <= kWidenedRowsMax; ++c) {
      const TableColumn& column = table.columns[c];
      if (column.kind != ColumnKind::kText || column.distinct < 2 || column.is_unique()) continue;
      for (std::size_t o = 0; o < survey_.tables.size(); ++o) {
        TRY_ASSIGN(const std::size_t key, key_of(t, c, o));
        if (key == SIZE_MAX) continue;
        out.push_back({c, o, key});
        break;
      }
    }
    return out;
  }

  /// The column of table `o` whose values column `c` of table `t` takes its own from; SIZE_MAX: none.
  base::Result<std::size_t> key_of(std::size_t t, std::size_t c, std::size_t o) {
    const SurveyedTable &table = survey_.tables[t], &other = survey_.tables[o];
    if (other.rows > kWidenedRowsMax || other.rows < 4) return SIZE_MAX;
    for (std::size_t k = 0; k < other.columns.size(); ++k) {
      const TableColumn& key = other.columns[k];
      if (key.kind != ColumnKind::kText || !key.is_unique() || (o == t && k == c)) continue;
      const std::string sql = fmt::format(
          "SELECT COUNT(DISTINCT \"{0}\") FROM \"{1}\" WHERE \"{0}\" IN (SELECT \"{2}\" FROM \"{3}\")",
          table.columns[c].name, table.name, key.name, other.name);
      TRY_ASSIGN(const QueryResult found, db_.select(sql, watch_));
      const auto held = static_cast<double>(integer(found.rows.at(0).at(0)));
      if (held >= kReferenceShare * static_cast<double>(table.columns[c].distinct)) return k;
    }
    return SIZE_MAX;
  }

  base::Status widen(std::size_t t, const std::vector<Reference>& references) {
    SurveyedTable wide = survey_.tables[t];
    wide.name = "wide table";  // no table of a text has such a name
    std::string columns = "b.*", joins;
    int n = 0;
    for (const Reference& reference : references) {
      const SurveyedTable& other = survey_.tables[reference.table];
      const std::string& by = survey_.tables[t].columns[reference.column].name;
      const std::string alias = fmt::format("a{}", ++n);
      joins += fmt::format(" LEFT JOIN \"{}\" {} ON {}.\"{}\" = b.\"{}\"", other.name, alias, alias,
                           other.columns[reference.key].name, by);
      for (std::size_t c = 0;
           c < other.columns.size() && wide.columns.size() < survey_.tables[t].columns.size() + kLentMax;
           ++c) {
        if (c == reference.key || (reference.table == t && c == reference.column)) continue;
        TableColumn lent = other.columns[c];
        lent.source = by;
        lent.distinct = -1;
        lent.written = survey_.tables[t].columns[reference.column].written + " " + lent.written;
        columns += fmt::format(", {}.\"{}\"", alias, lent.name);
        lent.name = by + "_" + lent.name;
        if (std::ranges::find(wide.columns, lent.name, &TableColumn::name) != wide.columns.end())
          lent.name += "_2";
        wide.columns.push_back(std::move(lent));
      }
    }
    TRY(db_.create(wide));
    const std::string& name = survey_.tables[t].name;
    TRY(db_.execute(fmt::format(
        "INSERT INTO \"wide table\" SELECT {} FROM \"{}\" b{}; DROP TABLE \"{}\"; ALTER TABLE \"wide table\" RENAME TO \"{}\"",
        columns, name, joins, name, name)));
    survey_.tables[t].columns = std::move(wide.columns);
    return watch_.look();
  }

  TableDatabase& db_;
  TableSurvey& survey_;
  Watch& watch_;
};

}  // namespace

base::Result<std::unique_ptr<TableDatabase>> load_tables(TableSource& source, TableSurvey& survey,
                                                         Watch& watch, QueryLimits limits) {
  TRY_ASSIGN(auto database, TableDatabase::open(limits));
  Loader loader(*database, survey, watch);
  TRY(loader.load(source));
  for (SurveyedTable& table : survey.tables) TRY(loader.count(table));
  TRY(loader.widen());
  TRY(database->seal(survey.tables));
  return database;
}

}  // namespace pmt::rlm
