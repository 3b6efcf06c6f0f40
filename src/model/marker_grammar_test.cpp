#include "model/marker_grammar.h"

#include <gtest/gtest.h>

#include "model/testing/writes.h"

namespace pmt::model {
namespace {

TEST(MarkerGrammar, TextWithoutAWordMayHoldItsBeginning) {
  const std::string grammar = "root ::= thought-0 \"</think>\" any-0\n" +
                              text_without({"</think>"}, "thought") + text_without({"<b"});
  EXPECT_TRUE(testing::writes(grammar, "a </thin </</think>b"));
  EXPECT_TRUE(testing::writes(grammar, "</think>"));
  EXPECT_FALSE(testing::writes(grammar, "a")) << "it isn't closed";
  EXPECT_FALSE(testing::writes(grammar, "a</think><b"));
}

TEST(MarkerGrammar, ARuleIsRenamedWhereverItIsOne) {
  const std::string grammar =
      "# a \"root\n"
      "root ::= \"root\" [root] root-2 rooted\n"
      "root-2 ::= (\"\\\"root\" root)?\n"
      "rooted ::= \"\"";
  EXPECT_EQ(rule_renamed(grammar, "root", "all"),
            "# a \"root\n"
            "all ::= \"root\" [root] root-2 rooted\n"
            "root-2 ::= (\"\\\"root\" all)?\n"
            "rooted ::= \"\"");
}

}  // namespace
}  // namespace pmt::model
