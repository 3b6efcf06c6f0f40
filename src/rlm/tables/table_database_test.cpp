#include "rlm/tables/table_database.h"

#include <gmock/gmock.h>

#include "rlm/tables/table_card.h"
#include "rlm/tables/test_tables.h"

namespace pmt::rlm {
namespace {

using testing::HasSubstr;

TEST(TableTypes, AreInferredFromAllRows) {
  std::string csv = "id;price;day;zip;share;who;when\n";
  for (int i = 0; i < 60; ++i)
    csv +=
        fmt::format("{};\"{}.234,{:02} €\";{:02}/03/2026;0{};{}%;{};{}\n", i, 1 + i % 9, i % 100, 1 + i % 28,
                    1'000 + i, i % 100, i == 7 ? "N/A" : "Ann", i % 2 == 0 ? "2026-01-05" : "5 January 2026");
  LoadedText loaded(csv);
  const auto kind = [&](std::size_t c) { return loaded.table().columns.at(c).kind; };
  EXPECT_EQ(kind(0), ColumnKind::kInteger);
  EXPECT_EQ(kind(1), ColumnKind::kReal);
  EXPECT_EQ(loaded.table().columns[1].unit, "€");
  EXPECT_EQ(kind(2), ColumnKind::kDate);
  EXPECT_EQ(loaded.table().columns[2].day_order, DayOrder::kDayFirst) << "28/03 proves it";
  EXPECT_EQ(kind(3), ColumnKind::kText) << "01000 is a name";
  EXPECT_EQ(kind(4), ColumnKind::kInteger);
  EXPECT_EQ(kind(6), ColumnKind::kDate) << "of mixed forms";
  EXPECT_EQ(loaded.first("SELECT price, day, zip FROM records WHERE id = 4"), "5234.04, 2026-03-05, 01004");
  EXPECT_EQ(loaded.first("SELECT COUNT(*), COUNT(who) FROM records"), "60, 59") << "N/A is nothing";
  EXPECT_EQ(loaded.first("SELECT COUNT(DISTINCT when_) FROM records"), "1");
}

TEST(TableTypes, AnOddValueDoesNotTurnNumbersIntoWords) {
  std::string csv = "id,amount,x\n";
  for (int i = 0; i < 100; ++i)
    csv += fmt::format("{},{},y\n", i, i == 50 ? "see note" : i == 51 ? "-" : "1,000");
  for (auto at = csv.find("1,000"); at != std::string::npos; at = csv.find("1,000", at + 7))
    csv.replace(at, 5, "\"1,000\"");
  LoadedText loaded(csv);
  EXPECT_EQ(loaded.table().columns[1].kind, ColumnKind::kInteger);
  EXPECT_EQ(loaded.table().columns[1].odd, 1);
  EXPECT_EQ(loaded.first("SELECT SUM(amount) FROM records"), "98000");
}

TEST(TableTypes, NamesAreMadeForSql) {
  LoadedText loaded("Order,Total Amount ($),2nd,order,select\n1,2,3,4,5\n1,2,3,4,5\n1,2,3,4,5\n1,2,3,4,5\n");
  ASSERT_EQ(loaded.source, nullptr) << "two columns of one name";
  LoadedText other("Order,Total Amount ($),2nd,select\n1,2,3,4\n1,2,3,4\n1,2,3,4\n1,2,3,4\n");
  std::vector<std::string> names;
  for (const TableColumn& column : other.table().columns) names.push_back(column.name);
  EXPECT_THAT(names, testing::ElementsAre("order_", "total_amount", "c_2nd", "select_"));
}

TEST(TableDatabase, OnlyReadsItsTables) {
  LoadedText loaded(orders_csv());
  EXPECT_EQ(loaded.first("SELECT COUNT(*) FROM records WHERE rep = 'boris';"), "75") << "whatever the case";
  for (const char* sql :
       {"ATTACH 'x.db' AS x",
        "PRAGMA table_info(records)",
        "DROP TABLE records",
        "DELETE FROM records",
        "UPDATE records SET amount = 1",
        "INSERT INTO records VALUES (1,2,3,4,5,6)",
        "CREATE TABLE t (a)",
        "CREATE TEMP TABLE t AS SELECT 1",
        "VACUUM INTO 'x.db'",
        "BEGIN",
        "COMMIT",
        "SELECT load_extension('x')",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM sqlite_schema",
        "SELECT * FROM pragma_table_info('records')",
        "SELECT readfile('/etc/passwd')",
        "SELECT zeroblob(1000000000)",
        "SELECT printf('%1000000000d', 1)",
        "SELECT hex(randomblob(100))",
        "SELECT 1; DROP TABLE records",
        "EXPLAIN SELECT 1",
        "EXPLAIN QUERY PLAN SELECT 1",
        "REINDEX",
        "ANALYZE",
        "DETACH main",
        "",
        ";",
        "nonsense",
        "SELECT * FROM json_each('[1]')",
        "SELECT fts3_tokenizer('x')",
        "SELECT writefile('x', 'y')",
        "SAVEPOINT a",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT COUNT(*) FROM n",
        "SELECT sqlite_version()"}) {
    EXPECT_FALSE(loaded.select(sql)) << sql;
  }
  EXPECT_EQ(loaded.first("SELECT COUNT(*) FROM records"), "300") << "and nothing has changed";
  EXPECT_THAT(loaded.first("SELECT weight FROM records"), HasSubstr("no such column: weight"));
  EXPECT_EQ(loaded.first("WITH b AS (SELECT * FROM records WHERE rep = 'Boris') SELECT COUNT(*) FROM b"),
            "75");
}

TEST(TableDatabase, BombsEndAtTheirLimits) {
  LoadedText loaded(orders_csv(), "", {.steps_max = 2'000'000, .memory_bytes_max = 32 << 20});
  for (const char* sql :
       {"SELECT COUNT(*) FROM records a, records b, records c, records d, records e",
        "SELECT a.rep || b.rep || c.rep FROM records a, records b, records c ORDER BY 1",
        "SELECT COUNT(DISTINCT a.amount * b.amount * c.amount) FROM records a, records b, records c"}) {
    const auto result = loaded.select(sql);
    ASSERT_FALSE(result) << sql;
    EXPECT_EQ(result.error().code, base::Code::kTooLarge) << sql << ": " << result.error().message;
  }
  EXPECT_FALSE(loaded.select("SELECT " + std::string(9'000, '1'))) << "too long";
  std::string deep = "1";
  for (int i = 0; i < 200; ++i) deep = "(" + deep + "+1)";
  EXPECT_FALSE(loaded.select("SELECT " + deep));
  EXPECT_EQ(loaded.first("SELECT COUNT(*) FROM records"), "300");
}

TEST(TableDatabase, ACancelledQueryEnds) {
  LoadedText loaded(orders_csv());
  const base::CancelToken cancel;
  Watch watch(cancel, nullptr, nullptr);
  cancel.cancel();
  const auto result =
      loaded.database->select("SELECT COUNT(*) FROM records a, records b, records c, records d", watch);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, base::Code::kCancelled);
}

TEST(TableDatabase, SaysWhetherAQueryReadsATable) {
  LoadedText loaded(orders_csv());
  EXPECT_FALSE(loaded.select("SELECT 42")->reads_table);
  EXPECT_TRUE(loaded.select("SELECT COUNT(*) FROM records")->reads_table);
  EXPECT_TRUE(loaded.select("SELECT 1 FROM records")->reads_table);
}

TEST(TableDatabase, ManyRowsAreCut) {
  LoadedText loaded(orders_csv());
  const auto result = loaded.select("SELECT order_id FROM records");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->rows.size(), kResultRowsMax);
  EXPECT_TRUE(result->more);
  EXPECT_TRUE(loaded.select("SELECT SUM(amount) FROM records WHERE rep = 'Zed'")->is_empty());
}

TEST(TableLoader, LendsTheColumnsOfWhatIsReferredTo) {
  LoadedText loaded(
      R"({"staff": [{"name": "Ann", "boss": "Bo", "pay": 5}, {"name": "Bo", "boss": "Cy", "pay": 9}, {"name": "Di", "boss": "Bo", "pay": 4},
    {"name": "Cy", "boss": null, "pay": 20}, {"name": "Ed", "boss": "Cy", "pay": 6}]})");
  EXPECT_EQ(loaded.first("SELECT boss_pay FROM staff WHERE name = 'Ann'"), "9");
  EXPECT_EQ(loaded.first("SELECT COUNT(*) FROM staff"), "5");
}

TEST(TableCard, ShowsTypesValuesAndRows) {
  LoadedText loaded(orders_csv());
  const std::string card = table_card(loaded.table(), *loaded.select("SELECT * FROM records LIMIT 3"));
  EXPECT_THAT(card, HasSubstr("CREATE TABLE records ( -- 300 rows\n"));
  EXPECT_THAT(card, HasSubstr("order_id INTEGER, -- 12000 to 12299; unique\n"));
  EXPECT_THAT(card, HasSubstr("kind TEXT, -- 'refund', 'sale'\n"));
  EXPECT_THAT(card,
              HasSubstr("placed TEXT, -- date, 2024-01-15 to 2025-12-15; year: substr(placed, 1, 4)\n"));
  EXPECT_THAT(card, HasSubstr("12002 | Elena | New York | sale | 12 | 2024-03-15\n"));
}

}  // namespace
}  // namespace pmt::rlm
