#include "rlm/tables_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rlm/program_fixture.h"
#include "rlm/tables/test_tables.h"

namespace pmt::rlm {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

/// A root that says these texts in order, over the orders of test_tables.h.
class TablesProgramTest : public ProgramTest {
 protected:
  std::string ask(const std::string& question, std::vector<std::string> says = {},
                  const std::string& context = orders_csv()) {
    return ask_about(context, question, std::move(says));
  }
};

TEST_F(TablesProgramTest, ComputesOrRefusesWithoutAModel) {
  EXPECT_THAT(ask("How many refunds did Boris make?"),
              "15 (COUNT(*) where rep = 'Boris' AND kind = 'refund'; 15 of 300 rows)");
  EXPECT_EQ(ask("How many refunds did Zorba make?"),
            "Not in the table: no value and no column is \"Zorba\".");
  EXPECT_TRUE(calls_.empty());
  EXPECT_EQ(engine_.at("context_strategy").at("program"), "tables");
}

TEST_F(TablesProgramTest, TheRootWritesOneQueryByAGrammar) {
  EXPECT_THAT(ask("Which rep was best at refunds in Porto?",
                  {"SELECT rep FROM records WHERE kind = 'refund' AND city = 'Porto' GROUP BY rep ORDER BY "
                   "COUNT(*) DESC LIMIT 1"}),
              HasSubstr(" of 300 rows)"));
  ASSERT_EQ(calls_.size(), 1U);
  EXPECT_EQ(calls_[0].response_format.kind, llm::ResponseFormat::Kind::kGrammar);
  EXPECT_EQ(calls_[0].kv.ratio, 1) << "a query's prompt is read exactly";
  EXPECT_THAT(calls_[0].messages.front().content, HasSubstr("CREATE TABLE records"));
  EXPECT_THAT(said_to(0), HasSubstr("In the data: kind = 'refund'\nIn the data: city = 'Porto'"));
  const json& iteration = engine_.at("trace").at("iterations").at(0);
  EXPECT_THAT(iteration.at("code_blocks").at(0).at("code").get<std::string>(), StartsWith("SELECT rep"));
  EXPECT_EQ(engine_.at("context_strategy").at("rows_matched"), 20);
}

/// 500 is one of few values of two columns, and a measure is 500 once.
std::string requests_csv(int level) {
  std::string csv = "user,status,level,ms\n";
  for (int i = 0; i < 240; ++i)
    csv += std::string(i % 2 == 0 ? "anna" : "bruno") + (i % 3 == 0 ? ",500," : ",200,") +
           std::to_string(i % 5 == 0 ? level : 100) + "," + std::to_string(i == 77 ? 500 : 300 + i % 100) +
           "\n";
  return csv;
}

TEST_F(TablesProgramTest, AMeasureThatHappensToBeAsLargeIsNotMeant) {
  EXPECT_THAT(ask("How often did bruno get a 500?", {}, requests_csv(300)),
              StartsWith("40 (COUNT(*) where user = 'bruno' AND status = 500"));
}

TEST_F(TablesProgramTest, OneValueOfSeveralColumnsIsMeantOfOne) {
  const std::string csv = requests_csv(500);
  EXPECT_THAT(ask("How often did bruno get a surprising 500?",
                  {"SELECT COUNT(*) FROM records WHERE user = 'bruno' AND status = 500 AND level = 500",
                   "SELECT COUNT(*) FROM records WHERE user = 'bruno' AND status = 500"},
                  csv),
              StartsWith("40 (COUNT(*) where user = 'bruno' AND status = 500; 40 of 240 rows"));
  EXPECT_THAT(said_to(1),
              HasSubstr("The question says \"500\" once, of one column: use status = 500 or level = 500"));
  EXPECT_THAT(ask("How often did bruno get a surprising 500?",
                  {"SELECT COUNT(*) FROM records WHERE user = 'bruno' AND level = 500"}, csv),
              StartsWith("24 ("));
  EXPECT_EQ(calls_.size(), 1U) << "another reading is no fault";
}

TEST_F(TablesProgramTest, ARootElsewhereGetsNoGrammarAndMayFence) {
  parameters_ = 0;
  EXPECT_THAT(ask("Which rep has the largest amount?",
                  {"Sure:\n```sql\nSELECT rep FROM records ORDER BY amount DESC LIMIT 1;\n```"}),
              StartsWith("Farid (rep; 300 of 300 rows)"));
  EXPECT_TRUE(calls_[0].response_format.is_free());
}

TEST_F(TablesProgramTest, AnErrorAnEmptyResultAndAForgottenValueAreToldOnce) {
  const std::string good = "SELECT rep FROM records WHERE city = 'Porto' ORDER BY amount DESC LIMIT 1";
  const std::string question = "Which rep has the largest amount in Porto?";
  EXPECT_THAT(ask(question, {"SELECT weight FROM records", good}), StartsWith("Elena ("));
  EXPECT_THAT(said_to(1), HasSubstr("no such column: weight. The columns of records are: order_id, rep"));
  EXPECT_THAT(ask(question, {"SELECT rep FROM records WHERE city = 'Porto' AND amount < 0", good}),
              StartsWith("Elena ("));
  EXPECT_THAT(said_to(1), HasSubstr("It returned no rows."));
  EXPECT_THAT(ask(question, {"SELECT rep FROM records ORDER BY amount LIMIT 1", good}),
              StartsWith("Elena ("));
  EXPECT_THAT(said_to(1), HasSubstr("It must use city = 'Porto'."));
  EXPECT_THAT(ask(question, {"DROP TABLE records", "DELETE FROM records"}),
              "Not answered: the queries that root wrote over the table can't be run.");
  EXPECT_EQ(calls_.size(), 2U);
  EXPECT_THAT(ask(question, {"SELECT 'Chen'", "SELECT 'Chen'"}), StartsWith("Not answered"));
  EXPECT_THAT(said_to(1), HasSubstr("It reads nothing from the table records."));
  // What was only doubted stays where the correction finds nothing.
  EXPECT_THAT(ask(question, {"SELECT rep FROM records ORDER BY amount LIMIT 1", "SELECT x FROM records"}),
              StartsWith("Boris ("));
}

TEST_F(TablesProgramTest, WhatNoColumnHoldsIsSaid) {
  EXPECT_THAT(
      ask("What is the shipping weight of order 12007?", {"SELECT 'NOT IN DATA'"}),
      StartsWith("Not in the table: no column holds \"shipping\", \"weight\" (its columns: order_id, rep"));
  EXPECT_THAT(
      ask("What is the shipping weight of order 12007?",
          {"SELECT amount FROM records WHERE order_id = 12007"}),
      StartsWith(
          "Not in the table as asked: no column or value is named \"shipping\", \"weight\". Read instead: amount = 17"));
}

TEST_F(TablesProgramTest, RowsThatShareAValueWithOneAreFoundByTheColumnThatTheRootNames) {
  EXPECT_THAT(ask("What is the total amount of all orders in the city of order 12007?",
                  {"SELECT SUM(amount) FROM records WHERE order_id = 12007", "city"}),
              HasSubstr("100 of 300 rows"));
  ASSERT_EQ(calls_.size(), 2U);
  EXPECT_EQ(calls_[1].response_format.kind, llm::ResponseFormat::Kind::kChoice);
  EXPECT_THAT(engine_.at("context_strategy").at("query").get<std::string>(),
              HasSubstr("city = (SELECT city FROM records WHERE order_id = 12007)"));
}

TEST_F(TablesProgramTest, LinesOfOneFormAreAskedForWhatNoLineTells) {
  std::string text;
  for (int i = 0; i < 40; ++i)
    text += fmt::format("The call of {} {} 2026 came from {} and was about {}.\n", 1 + i % 28,
                        i % 2 == 0 ? "May" : "June", i % 4 == 0 ? "Ann Chen" : "Bo Moor",
                        i % 5 == 0 ? "billing" : "delivery");
  EXPECT_THAT(ask("How many calls were about billing?", {}, text), StartsWith("8 ("));
  EXPECT_THAT(ask("Which is less common among the calls: billing or delivery?", {}, text),
              StartsWith("billing ("));
  EXPECT_TRUE(calls_.empty());
  EXPECT_EQ(engine_.at("context_strategy").at("program"), "tables");
  // A part of a name is no value: not counted without it.
  EXPECT_THAT(
      ask("How many calls came from Ann?", {"SELECT COUNT(*) FROM records WHERE came LIKE 'Ann%'"}, text),
      StartsWith("10 ("));
  parameters_ = 0;
  EXPECT_THAT(ask("Who called on 3 May 2026?", {}, text), HasSubstr("no sandbox")) << "it is quoted";
}

TEST_F(TablesProgramTest, RowsByAnotherNameAreCountedAndThatIsSaid) {
  EXPECT_EQ(
      ask("How many invoices are there?"),
      "Not in the table as asked: no column or value is named \"invoices\". Read instead: COUNT(*) = 300 (COUNT(*); 300 of "
      "300 rows; no column or value is named \"invoices\").");
  EXPECT_EQ(ask("How many rows are there?"), "300 (COUNT(*); 300 of 300 rows)");
  EXPECT_TRUE(calls_.empty());
}

TEST_F(TablesProgramTest, AQueryThatReturnsWhatTheQuestionSaysIsCorrected) {
  EXPECT_THAT(
      ask("Which rep placed the dear order 12007?", {"SELECT order_id FROM records WHERE order_id = 12007",
                                                     "SELECT rep FROM records WHERE order_id = 12007"}),
      StartsWith("Farid ("));
  ASSERT_EQ(calls_.size(), 2U);
  EXPECT_THAT(said_to(1), HasSubstr("It returns order_id alone, which the question says already"));
}

TEST_F(TablesProgramTest, WhatIsAskedForAndIsNowhereIsSaidFirst) {
  EXPECT_THAT(ask("Who is the shipper of order 12007?", {"SELECT rep FROM records WHERE order_id = 12007"}),
              StartsWith("Not in the table as asked: no column or value is named \"shipper\""));
  EXPECT_THAT(ask("Who burnt order 12007?", {"SELECT rep FROM records WHERE order_id = 12007"}),
              StartsWith("Not in the table as asked: no column or value is named \"burnt\""));
}

TEST_F(TablesProgramTest, ARootThatIsTooSmallIsNotAsked) {
  parameters_ = 135'000'000;
  EXPECT_THAT(
      ask("Which rep was best at refunds?"),
      StartsWith(
          "Not computed: the question says more than a program can make a query of, and root has 135M"));
  EXPECT_TRUE(calls_.empty());
}

/// Without a sandbox the other way can't go on: it is seen by its error.
TEST_F(TablesProgramTest, OtherQuestionsAndTextsGoTheOtherWay) {
  parameters_ = 0;
  for (const char* question :
       {"Summarise these records.", "Please describe the rep Boris.", "What is this about?"})
    EXPECT_THAT(ask(question), HasSubstr("no sandbox")) << question;
  EXPECT_THAT(ask("Who came?", {}, "Nobody came. It was late, and dark.\n\nThe end."),
              HasSubstr("no sandbox"));
  const std::string prose(20'000, 'x');
  EXPECT_THAT(ask("Who is the keeper of Graz?", {},
                  prose + "\n\n| a | b |\n|---|---|\n| 1 | 2 |\n| 2 | 3 |\n| 3 | 4 |\n| 5 | 6 |\n"),
              HasSubstr("no sandbox"));
}

TEST(AsksTables, ByTheMessagesAlone) {
  llm::Request request;
  request.messages = {message("user", orders_csv() + "\n\nHow many orders did Boris place?")};
  EXPECT_TRUE(asks_tables(request));
  request.messages = {message("user", orders_csv()), message("user", "How many orders did Boris place?")};
  EXPECT_TRUE(asks_tables(request));
  request.messages = {message("user", "How many orders did Boris place?")};
  EXPECT_FALSE(asks_tables(request));
}

}  // namespace
}  // namespace pmt::rlm
