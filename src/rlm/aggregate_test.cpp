#include "rlm/aggregate.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

namespace pmt::rlm {
namespace {

std::string value(const std::string& text, const std::string& question) {
  Watch watch;
  const auto records = find_records(text, watch);
  const auto computed = compute(*records, question, watch);
  return computed->answer ? computed->answer->value : "?" + computed->why_not;
}

const std::string kPairs =
    "Prose before, with a comma: and a colon.\n"
    "order=1; city=New York; status=paid; amount=10.50\n"
    "order=2; city=York; status=cancelled; amount=20\n"
    "More prose in between; nothing to see here.\n"
    "order=3; city=Lisbon; status=paid; amount=30\n"
    "order=4; city=Lisbon; status=cancelled; amount=5\n";

TEST(Aggregate, AggregatesWithConditions) {
  EXPECT_EQ(value(kPairs, "How many orders are there?"), "4");
  EXPECT_EQ(value(kPairs, "How many orders were cancelled?"), "2");
  EXPECT_EQ(value(kPairs, "How many orders from Lisbon were paid?"), "1");
  EXPECT_EQ(value(kPairs, "How many orders from New York are there?"), "1");
  EXPECT_EQ(value(kPairs, "How many orders from York are there?"), "1");
  EXPECT_EQ(value(kPairs, "What is the total amount of the paid orders?"), "40.5");
  EXPECT_EQ(value(kPairs, "What is the average amount in Lisbon?"), "17.5");
  EXPECT_EQ(value(kPairs, "What is the largest amount?"), "30");
  EXPECT_EQ(value(kPairs, "What is the lowest amount of a paid order?"), "10.5");
}

TEST(Aggregate, WhatIsNotUnderstoodIsNotComputed) {
  EXPECT_EQ(value(kPairs, "How many orders from Porto were paid?")[0], '?');
  EXPECT_EQ(value(kPairs, "How many orders were refunded?")[0], '?');
  EXPECT_EQ(value(kPairs, "What is the total weight?")[0], '?');
  EXPECT_EQ(value(kPairs, "Who placed the first order?")[0], '?');
  EXPECT_EQ(value("Just a text. With two sentences.", "How many cats are there?")[0], '?');
}

TEST(Aggregate, OtherForms) {
  EXPECT_EQ(value("{\"name\": \"a\", \"kind\": \"cat\"}\n{\"name\": \"b\", \"kind\": \"dog\"}\n{\"name\": "
                  "\"c\", \"kind\": "
                  "\"cat\"}\n",
                  "How many entries have the kind cat?"),
            "2");
  EXPECT_EQ(
      value("name,kind,age\na,cat,3\nb,dog,4\nc,cat,5\nd,cat,6\n", "What is the sum of age over kind cat?"),
      "14");
  EXPECT_EQ(value("| name | kind | age |\n|---|---|---|\n| a | cat | 3 |\n| b | dog | 4 |\n| c | cat | 5 "
                  "|\n| d | cat | 6 |\n",
                  "How many rows have kind cat?"),
            "3");
  EXPECT_EQ(value("level: error, host: web1\nlevel: info, host: web2\nlevel: error, host: web2\n",
                  "How many errors are there on host web2?")[0],
            '?')
      << "'errors' is not the value 'error': rather read than count wrong";
}

TEST(Aggregate, AValueThatBeginsWithItsFieldsName) {
  EXPECT_EQ(
      value("city: City Hall; open: yes\ncity: Porto; open: yes\n", "How many have the city City Hall?"),
      "1");
}

/// Spellings of one value are that value.
TEST(Aggregate, SpellingsOfAValueAreCountedTogether) {
  EXPECT_EQ(
      value("kind: Cat; age: 1\nkind: cat.; age: 2\nkind: dog; age: 3\n", "How many have the kind cat?"),
      "2");
}

TEST(Aggregate, NumbersAreFiltersBesideTheirFieldsName) {
  EXPECT_EQ(value("priority: 3; host: a\npriority: 4; host: b\npriority: 3; host: c\n",
                  "How many have priority 3?"),
            "2");
}

/// Every word of a question of megabytes may be a value: nobody asks for a count in so many.
TEST(Aggregate, ALongQuestionIsNone) {
  std::string question = "How many records are there with";
  for (int i = 0; i < 100'000; ++i) question += " v" + std::to_string(i);
  EXPECT_FALSE(is_aggregate(question));
  EXPECT_EQ(value(kPairs, question)[0], '?');
}

TEST(Aggregate, AggregatesAreRecognised) {
  EXPECT_TRUE(is_aggregate("How many are there?"));
  EXPECT_TRUE(is_aggregate("What was the total amount?"));
  EXPECT_FALSE(is_aggregate("Who is the captain?"));
  EXPECT_FALSE(is_aggregate("Tell me about the county."));
}

}  // namespace
}  // namespace pmt::rlm
