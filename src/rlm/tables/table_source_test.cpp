#include <random>

#include <gmock/gmock.h>

#include "rlm/tables/test_tables.h"
#include "rlm/test_texts.h"

namespace pmt::rlm {
namespace {

using testing::ElementsAre;

std::string shape_of(const std::string& text) {
  const auto source = recognise_tables(text);
  return source == nullptr ? "none" : std::string(source->shape());
}

/// Each row as "column=cell" with bars between; tables by their number.
std::vector<std::string> rows_of(TableSource& source) {
  std::vector<std::string> rows;
  Watch watch;
  EXPECT_TRUE(source.read(watch, [&](std::size_t table, std::span<const RawCell> row) -> base::Status {
    std::string line = std::to_string(table);
    for (const RawCell& cell : row)
      line += "|" + source.tables()[table].columns[cell.column] + "=" + std::string(cell.text);
    rows.push_back(line);
    return {};
  }));
  return rows;
}

TEST(TableSource, CsvWithQuotesAndLineEndsInside) {
  const std::string text =
      "\xef\xbb\xbf# made by hand\r\nname,note\r\n\"Ann, B\",\"says \"\"no\"\"\r\nand goes\"\r\nBo,x\r\nCy,\r\nDi,y\r\n\r\nEd,z\r\nbroken,1,2\r\n";
  const auto source = recognise_tables(text + std::string("F,q\r\nG,q\r\nH,q\r\nI,q\r\nJ,q\r\n") + [] {
    std::string more;
    for (int i = 0; i < 60; ++i) more += fmt::format("n{},v\r\n", i);
    return more;
  }());
  ASSERT_NE(source, nullptr);
  EXPECT_EQ(source->shape(), "CSV");
}

TEST(TableSource, CsvRows) {
  const std::string text =
      "name,note,n\n\"Ann, B\",\"says \"\"no\"\"\nand goes\",1\nBo,x,2\nCy,,3\nDi,\"y\",4\n\nEd,z,5\n";
  const auto source = recognise_tables(text);
  ASSERT_NE(source, nullptr);
  const std::vector<std::string> rows = {"0|name=Ann, B|note=says \"no\"\nand goes|n=1",
                                         "0|name=Bo|note=x|n=2", "0|name=Cy|note=|n=3",
                                         "0|name=Di|note=y|n=4", "0|name=Ed|note=z|n=5"};
  EXPECT_EQ(rows_of(*source), rows);
  EXPECT_EQ(rows_of(*source), rows) << "as often as wanted";
}

TEST(TableSource, CellsMayBeLeftOutAtARowsEnd) {
  const std::string text =
      "a,b,c,d\n1,2,3,4\n1,2,3,4\n5,6,7\n8,9\n1,2,3,4\n1,2,3,4\n1\n1,2,3,4\n1,2,3,4\n1,2,3,4\n1,2,3,4\n";
  const auto source = recognise_tables(text);
  ASSERT_NE(source, nullptr);
  const auto rows = rows_of(*source);
  EXPECT_EQ(rows.size(), 10U);
  EXPECT_EQ(rows.at(3), "0|a=8|b=9");
  EXPECT_EQ(source->left_out(), 1);
}

TEST(TableSource, FewRowsMayHaveTheLastColumns) {
  std::string text = "ship,flag,built,sold,renamed,scrapped\n";
  for (int i = 0; i < 20; ++i)
    text += fmt::format("S{},NO,19{}-01-02,{}\n", i, 40 + i,
                        i % 7 == 0 ? "1990-01-01,1991-02-02,1999-03-03" : "");
  const auto source = recognise_tables(text);
  ASSERT_NE(source, nullptr);
  EXPECT_EQ(source->shape(), "CSV");
  EXPECT_EQ(rows_of(*source).size(), 20U);
  // Sentences are of any length.
  EXPECT_NE(
      shape_of(
          "one, two, three, four\nHe came, he saw\nit, that, and this\nWell, yes, no, but, still\nNo, not so\n"),
      "CSV");
}

TEST(TableSource, TheNamesOfColumnsMayStandInTheLastComment) {
  std::string text = "# kept by hand\n#\n#place\theight of it, in metres above the sea\tremarks\n";
  for (int i = 0; i < 12; ++i)
    text += fmt::format("hill {}\t{}{}\n", i, 300 + i, i % 3 == 0 ? "\tsteep" : "");
  text += "# and two more\nfell\t401\n";
  const auto source = recognise_tables(text);
  ASSERT_NE(source, nullptr);
  const auto rows = rows_of(*source);
  ASSERT_EQ(rows.size(), 13U) << "no row is taken for names, no comment for a row";
  EXPECT_EQ(rows[0], "0|place=hill 0|height of it, in metres above the sea=300|remarks=steep");
  // A comment that names nothing leaves the first row to do it.
  const auto plain =
      recognise_tables("# a, b, and so on and so forth, as ever.\nname,n\nAnn,1\nBo,2\nCy,3\nDi,4\n");
  ASSERT_NE(plain, nullptr);
  EXPECT_EQ(rows_of(*plain)[0], "0|name=Ann|n=1");
}

TEST(TableSource, RowsWithoutNamesAreToldByTheirNumbers) {
  std::string accounts, petals, prose;
  for (int i = 0; i < 10; ++i) {
    accounts +=
        fmt::format("user{}:x:{}:Some One:/srv/u{}:/bin/{}\n", i, 1000 + i, i, i % 2 ? "sh" : "false");
    petals += fmt::format("{}.5,{}.1,rose-{}\n", i, i + 2, i % 3);
    prose += "He came, he saw, and he went home again.\n";
  }
  for (const auto& [text, width] : {std::pair{accounts, 6}, {petals, 3}}) {
    const auto source = recognise_tables(text);
    ASSERT_NE(source, nullptr) << text;
    EXPECT_EQ(rows_of(*source).size(), 10U);
    EXPECT_EQ(source->tables()[0].columns.size(), static_cast<std::size_t>(width));
    EXPECT_EQ(source->tables()[0].columns[1], "column_2");
  }
  EXPECT_EQ(shape_of(prose), "none");
  std::string plain;
  for (int i = 0; i < 10; ++i)
    plain += fmt::format("svc{}:x:{}:{}:svc{}:/var/svc{}:/bin/false\n", i, i, i, i, i);
  EXPECT_EQ(shape_of(plain), "delimited text");
}

TEST(TableSource, ColumnsMayBeAlignedByEye) {
  std::string pods = "NAME            READY   STATUS             AGE\n",
              kinds = "# <kind>\t<other kind>\t<bits>\n";
  for (int i = 0; i < 9; ++i) {
    pods += fmt::format("web-{}           1/1     {:17}  {}d\n", i,
                        i % 3 == 0 ? "Running" : "CrashLoopBackOff", i);
    kinds += fmt::format("kind{}{}other{}\t\t\t{}\n", i, i % 2 == 0 ? "\t" : "\t\t", i, 32 * (1 + i % 2));
  }
  pods += "web-10                  Pending            1d\n";  // which cell is missing can't be told
  const auto source = recognise_tables(pods);
  ASSERT_NE(source, nullptr);
  EXPECT_EQ(source->shape(), "aligned columns");
  const auto rows = rows_of(*source);
  ASSERT_EQ(rows.size(), 9U);
  EXPECT_EQ(source->left_out(), 1);
  EXPECT_EQ(rows[3], "0|NAME=web-3|READY=1/1|STATUS=Running|AGE=3d");
  const auto other = recognise_tables(kinds);
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(rows_of(*other)[1], "0|kind=kind1|other kind=other1|bits=64");
  EXPECT_EQ(
      shape_of("He came.  He saw.  He went.\nShe came.  She saw.  She went.\nAll came.  All saw.  All went.\n"
               "I came.  I saw.  I went.\nWe came.  We saw.  We went.\n"),
      "none");
}

TEST(TableSource, NamesMayExplainThemselvesBetweenTabs) {
  std::string text =
      "name (of all that are sold, and of some that are not; see below for more of them)\tnewest version that was tried here\tsold a month\n";
  for (int i = 0; i < 9; ++i) text += fmt::format("thing{}\t1.{}\t{}\n", i, i, 10 * i);
  EXPECT_EQ(shape_of(text), "TSV");
}

TEST(TableSource, AQuoteThatNothingClosesIsASign) {
  std::string text = "name,n,m\n\"open,1,2\n";
  for (int i = 0; i < 40'000; ++i) text += fmt::format("x{},1,2\n", i);
  const auto source = recognise_tables(text);
  ASSERT_NE(source, nullptr);
  EXPECT_EQ(rows_of(*source).size(), 40'001U);
}

TEST(TableSource, ShapesAreRecognised) {
  EXPECT_EQ(shape_of(orders_csv()), "CSV");
  EXPECT_EQ(shape_of("a\tb\tc\n1\t2\t3\n1\t2\t3\n1\t2\t3\n1\t2\t3\n"), "TSV");
  EXPECT_EQ(shape_of("a;b;c\n1;2,5;3\n1;2,5;3\n1;2,5;3\n1;2,5;3\n"), "delimited text");
  EXPECT_EQ(shape_of("{\"a\": 1, \"b\": 2}\n{\"a\": 1}\n{\"a\": 2}\n{\"a\": 3}\n"), "JSON lines");
  EXPECT_EQ(shape_of("[{\"a\": 1}, {\"a\": 2}]"), "JSON");
  EXPECT_EQ(shape_of("{\"meta\": 1, \"rows\": [{\"a\": 1}, {\"a\": 2}]}"), "JSON");
  EXPECT_EQ(shape_of("# Staff\n\n| name | age |\n|---|---|\n| Ann | 3 |\n"), "Markdown tables");
  std::string log;
  for (int i = 0; i < 9; ++i)
    log += fmt::format("2026-01-0{} 10:00:00 INFO api GET /x/{} 200 {}ms\n", i + 1, i, 5 * i);
  EXPECT_EQ(shape_of(log), "log");
}

TEST(TableSource, ProseIsNoTable) {
  for (const char* kind : {"prose", "one line", "one word", "newlines", "spaces", "commas", "headers", "dots",
                           "any bytes", "no UTF-8"})
    EXPECT_EQ(shape_of(text_of_kind(kind, 20'000)), "none") << kind;
  EXPECT_EQ(
      shape_of(
          "Dear Ann,\nthank you, and good bye.\nYours,\nBo, who waits.\nAnd more, as ever.\nThen it ends, here.\n"),
      "none");
  std::string diary;
  for (int i = 0; i < 200; ++i) diary += fmt::format("Nothing happened on day {}, as ever.\n\n", i);
  EXPECT_EQ(shape_of(diary), "none") << "a comma a line";
  EXPECT_EQ(shape_of(""), "none");
}

TEST(TableSource, JsonIsFlattened) {
  const std::string text =
      "{\"rows\": [{\"id\": 1, \"who\": {\"name\": \"Ann\"}, \"tags\": [\"x\", 2]}, {\"id\": 2, \"gone\": null}], \"more\": [{\"k\": true}]}";
  const auto source = recognise_tables(text);
  ASSERT_NE(source, nullptr);
  EXPECT_THAT(rows_of(*source), ElementsAre("0|id=1|tags=x, 2|who_name=Ann", "0|id=2", "1|k=true"));
  EXPECT_EQ(source->tables()[0].name, "rows");
  EXPECT_EQ(source->tables()[1].name, "more");
}

TEST(TableSource, BrokenJsonEnds) {
  for (const char* text :
       {"[{\"a\": 1}, {\"a\": ", "[{\"a\": 1} {\"a\"", "{\"a\": [{\"b\": 1}, {]]]]", "[{\"a\": \"\\",
        "{\"a\"", "[{}, {}, {}]", "[{\"a\": 1}}}}}}]", "{\"a\": 1, \"b\": [{\"x\": [[[[1]]]]}], \"c\""}) {
    const std::string whole = text;
    if (const auto source = recognise_tables(whole)) rows_of(*source);
  }
}

TEST(TableSource, MarkdownTablesHaveTheirHeadingsNames) {
  const std::string text =
      "# Report\n\nProse.\n\n## Staff list\n| name | age |\n|:--|--:|\n| **Ann** | 3 |\n| Bo \\| Co | 4 |\n\n## Rooms\n\nroom | floor\n---|---\nA1 | 2\n";
  const auto source = recognise_tables(text);
  ASSERT_NE(source, nullptr);
  EXPECT_THAT(rows_of(*source),
              ElementsAre("0|name=Ann|age=3", "0|name=Bo \\| Co|age=4", "1|room=A1|floor=2"));
  EXPECT_EQ(source->tables()[0].name, "Staff list");
  EXPECT_EQ(source->tables()[1].name, "Rooms");
  EXPECT_GT(source->prose_bytes(), 5U);
}

TEST(TableSource, LogsOfOneFormAndOfMany) {
  std::string one, many;
  for (int i = 0; i < 20; ++i) {
    one += fmt::format("10.0.0.{} - - [01/Mar/2026:10:00:{:02} +0000] \"GET /a HTTP/1.1\" 404 12\n", i, i);
    many += fmt::format("2026-03-01 10:00:{:02} status {}installed pkg{}\n", i, i % 2 == 0 ? "half " : "", i);
  }
  const auto source = recognise_tables(one);
  ASSERT_NE(source, nullptr);
  EXPECT_EQ(rows_of(*source).size(), 20U);
  EXPECT_THAT(source->tables()[0].columns, testing::Contains("status"));
  const auto other = recognise_tables(many);
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(rows_of(*other).size(), 20U);
  EXPECT_EQ(other->left_out(), 0);
}

/// Every kind of text, read in linear time, and left when nobody waits.
TEST(TableSource, AnyTextIsSurveyedInLinearTime) {
  for (const char* kind : kTextKinds) {
    expect_linear(kind, [](const std::string& text) {
      const auto source = recognise_tables(text);
      if (source == nullptr) return;
      Watch watch;
      EXPECT_TRUE(survey_tables(*source, TableQuestion("How many cats has Ann Lee?"), watch));
    });
  }
}

TEST(TableSource, ACancelledSurveyEndsSoon) {
  for (const char* kind : {"csv", "json", "log", "pairs"}) {
    expect_ends_when_cancelled(kind, text_of_kind(kind, 6 << 20),
                               [](const std::string& text, Watch& watch) -> base::Status {
                                 const auto source = recognise_tables(text);
                                 if (source == nullptr) return {};
                                 watch.begin("reading", text.size());
                                 TRY(survey_tables(*source, TableQuestion("?"), watch));
                                 return {};
                               });
  }
}

/// Texts of each shape with bytes changed, cut and doubled: nothing but an end.
TEST(TableSource, DamagedTextsDoNoHarm) {
  std::mt19937 random(11);
  const std::string seeds[] = {orders_csv().substr(0, 900),
                               "[{\"a\": 1, \"b\": {\"c\": \"x\"}}, {\"a\": 2}, {\"a\": 3}, {\"a\": 4}]",
                               "{\"a\": 1}\n{\"a\": 2}\n{\"a\": 3}\n{\"a\": \"y\"}\n",
                               "# T\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n",
                               "2026-01-01 10:00:00 INFO a=1 b=2\n2026-01-01 10:00:01 WARN a=1 b=3\n"};
  for (int i = 0; i < 400; ++i) {
    std::string text = seeds[static_cast<std::size_t>(i) % std::size(seeds)];
    for (auto n = random() % 6; n > 0; --n) {
      const std::size_t at = random() % text.size();
      if (random() % 3 == 0)
        text.insert(at, text.substr(at, random() % 40));
      else if (random() % 2 == 0)
        text[at] = static_cast<char>(random() % 256);
      else
        text.erase(at, random() % 9);
      if (text.empty()) text = "x";
    }
    LoadedText loaded(text, "How many a of Boris are in 2024?");
    if (loaded.database != nullptr && !loaded.survey.tables.empty()) {
      EXPECT_TRUE(loaded.select(fmt::format("SELECT COUNT(*) FROM {}", loaded.table().name))) << text;
    }
  }
}

}  // namespace
}  // namespace pmt::rlm
