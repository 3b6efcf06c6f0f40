#include "rlm/final_call.h"

#include <gtest/gtest.h>

namespace pmt::rlm {
namespace {

std::string argument(const std::string& text) {
  return final_call(text).argument;
}
std::string name(const std::string& text) {
  return final_call(text).name;
}

TEST(FinalCall, EndsAtTheBracketThatClosesIt) {
  EXPECT_EQ(argument("FINAL(42)\n\nI took this from section 3 (see above) of it."), "42");
  EXPECT_EQ(argument("FINAL(f(a, g(b)) + (1))"), "f(a, g(b)) + (1)");
  EXPECT_EQ(argument("FINAL(a (b) c) and so (on)"), "a (b) c");
  EXPECT_EQ(argument("FINAL(two\nlines (of it)\n)\nThat's it :)"), "two\nlines (of it)\n");
  EXPECT_EQ(argument("FINAL()"), "");
  EXPECT_EQ(argument("FINAL(cut short (by the limit"), "cut short (by the limit");
  EXPECT_EQ(argument("  FINAL(1)"), "1") << "indented";
  EXPECT_EQ(argument("\r\nFINAL(1)\r\n"), "1");
}

TEST(FinalCall, BracketsInStringsCloseNothing) {
  EXPECT_EQ(argument(R"t(FINAL("smile :) here") (really))t"), "smile :) here");
  EXPECT_EQ(argument(R"t(FINAL('a ) "b" (')x)t"), "a ) \"b\" (");
  EXPECT_EQ(argument(R"t(FINAL("he said \"no)\" twice") it's done)t"), "he said \"no)\" twice");
  EXPECT_EQ(argument("FINAL(\"\"\"one )\n\"two\" (\nthree\"\"\") end)"), "one )\n\"two\" (\nthree");
  EXPECT_EQ(argument(R"t(FINAL(x = ")" + y) rest)t"), R"t(x = ")" + y)t");
  EXPECT_EQ(argument(R"t(FINAL({"a": ")", 'b': [1]}) rest)t"), R"t({"a": ")", 'b': [1]})t");
  EXPECT_EQ(argument(R"t(FINAL("a" + "b"))t"), R"t("a" + "b")t") << "two literals are not one";
  EXPECT_EQ(argument(R"t(FINAL(He called it "odd (" once))t"), R"t(He called it "odd (" once)t");
  EXPECT_EQ(argument(R"t(FINAL("a\\"))t"), "a\\");
  EXPECT_EQ(argument(R"t(FINAL("line\nbreak"))t"), "line\nbreak");
}

TEST(FinalCall, ApostrophesAreNoStrings) {
  EXPECT_EQ(argument("FINAL(It's 5 o'clock (sharp)) That's all."), "It's 5 o'clock (sharp)");
  EXPECT_EQ(argument("FINAL('It's fine (really)') I'm sure."), "It's fine (really)");
  EXPECT_EQ(argument("FINAL(the dogs' (two) bowls) yes (it's so)"), "the dogs' (two) bowls");
  EXPECT_EQ(argument("FINAL('unclosed) and 'so' on"), "'unclosed");
  EXPECT_EQ(argument("FINAL(6\" (inch)) wide"), "6\" (inch)");
}

TEST(FinalCall, OfAVariableFollowedByProse) {
  for (const char* text : {"FINAL_VAR(x)", "FINAL_VAR(x) is what I found (see above).",
                           "Done.\nFINAL_VAR('x')\nIt (x) holds.", "FINAL_VAR(\"x\") (the table)"}) {
    EXPECT_EQ(name(text), "FINAL_VAR") << text;
    EXPECT_EQ(argument(text), "x") << text;
  }
  EXPECT_EQ(name("FINAL(1)\nFINAL_VAR(x)"), "FINAL") << "the first one";
}

TEST(FinalCall, InAnotherNotationIsNone) {
  for (
      const char* text :
      {"", "I will call FINAL(x) later", "- FINAL(x)", "`FINAL(x)`", "XFINAL(1)", "FINALLY(1)", "FINAL 1",
       "FINAL", "```repl\nFINAL(1)\n```", "```\nFINAL(1)\n```", "```repl\nFINAL(1)",
       "<function_calls>\n<invoke name=\"repl\">\n<parameter name=\"code\">\nFINAL(len(context))\n</parameter>\n"
       "</invoke>\n</function_calls>",
       "<tool_call>\nFINAL(1)\n</tool_call>", "<tool_call>\nFINAL(1)", "<a:invoke name=\"x\">\nFINAL(1)\n",
       "<think>\nFINAL(1)?\nFINAL(2)?\n</think>\nI don't know.", "<|tool_call|>\nFINAL(1)",
       "<code>\n<code>\n</code>\nFINAL(1)\n</code>"}) {
    EXPECT_EQ(name(text), "") << text;
  }
  EXPECT_EQ(argument("<think>\nFINAL(1)?\n</think>\nFINAL(2)"), "2");
  EXPECT_EQ(argument("if a <b and c> d:\nFINAL(3)"), "3") << "a tag that nothing closes is none";
  EXPECT_EQ(argument("FINAL(<b>4</b> (bold))"), "<b>4</b> (bold)");
  EXPECT_EQ(argument("```repl\nx\n```\nFINAL(5)"), "5");
}

TEST(FinalCall, ManyTagsTakeNoTime) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "<a>\n<b" + std::to_string(i % 50) + ">";
  EXPECT_EQ(argument(text + "\nFINAL(1)"), "1");
}

TEST(CallsInXml, AreThoseOfTools) {
  EXPECT_TRUE(calls_in_xml("<invoke name=\"repl\">x</invoke>"));
  EXPECT_TRUE(calls_in_xml("I call it.\n<tool_call>\n{}"));
  EXPECT_FALSE(calls_in_xml("```repl\n<invoke>\n```\na < b > c <b>bold</b>"));
}

}  // namespace
}  // namespace pmt::rlm
