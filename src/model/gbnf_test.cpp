#include "model/gbnf.h"

#include <gtest/gtest.h>

#include <string>

namespace pmt::model {
namespace {

using Kind = GbnfElement::Kind;

std::string error_of(std::string_view text, const GbnfLimits& limits = {}) {
  const auto read = Gbnf::parse(text, limits);
  return read ? "" : read.error().message;
}

TEST(Gbnf, ASequenceOfEachKind) {
  const auto read = Gbnf::parse("root ::= \"a\\n\" [b-d] other # a comment\nother ::= .\n");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->rules.size(), 2U);
  ASSERT_EQ(read->rules[read->root].size(), 1U);
  const GbnfElement* at = &read->elements[read->rules[read->root][0]];
  EXPECT_EQ(at[0].value, 'a');
  EXPECT_EQ(at[1].value, '\n');
  EXPECT_EQ(at[2].kind, Kind::kClass);
  EXPECT_EQ(at[3].kind, Kind::kRule);
  EXPECT_EQ(at[4].kind, Kind::kEnd);
}

TEST(Gbnf, ARepetitionCostsOneElementWhateverItsBounds) {
  const auto small = Gbnf::parse("root ::= [a]{2,3}");
  const auto large = Gbnf::parse("root ::= [a]{2000,4000000000}");
  ASSERT_TRUE(small);
  ASSERT_TRUE(large) << large.error().message;
  EXPECT_EQ(small->elements.size(), large->elements.size());
  EXPECT_EQ(small->rules.size(), large->rules.size());
}

TEST(Gbnf, RepetitionsOfRepetitionsDontMultiply) {
  std::string text = "root ::= ";
  for (int i = 0; i < 100; ++i) text += "(";
  text += "[a]";
  for (int i = 0; i < 100; ++i) text += "{1000}){1000}";
  const auto read = Gbnf::parse(text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_LT(read->elements.size(), 1000U);
}

TEST(Gbnf, WhatCannotBeRead) {
  for (const char* text :
       {"", "root", "root ::= \"a", "root ::= [a", "root ::= (\"a\"", "root ::= \"a\")", "root ::= *",
        "root ::= \"a\"{", "root ::= \"a\"{x}", "root ::= \"a\"{1", "a ::= \"a\"", "root ::= none",
        "root ::= \"\\q\"", "root ::= \"\\u12\"", "root \"a\"", "root ::= \"a\" $"}) {
    const std::string error = error_of(text);
    EXPECT_NE(error.find("can't be followed"), std::string::npos) << text << ": " << error;
  }
}

TEST(Gbnf, ARuleThatBeginsWithItself) {
  for (const char* text : {"root ::= root", "root ::= root \"a\" | \"b\"", "root ::= a\na ::= b\nb ::= a",
                           "root ::= \"\" root", "root ::= (\"x\"?) root", "root ::= [a]* root | \"b\"",
                           "root ::= (root)? \"a\"", "root ::= e e root\ne ::= | \"x\""}) {
    EXPECT_NE(error_of(text).find("begins with itself"), std::string::npos) << text;
  }
  for (const char* text : {"root ::= \"a\" root | \"\"", "root ::= (\"a\"?)*", "root ::= (\"\")* \"b\"",
                           "root ::= [a]+ root | \"b\""})
    EXPECT_EQ(error_of(text), "") << text;
}

TEST(Gbnf, AChainOfManyRulesIsNoRecursion) {
  std::string text = "root ::= r0\n";
  for (int i = 0; i < 50'000; ++i) text += "r" + std::to_string(i) + " ::= r" + std::to_string(i + 1) + "\n";
  EXPECT_EQ(error_of(text + "r50000 ::= \"a\"\n"), "");
  EXPECT_NE(error_of(text + "r50000 ::= root\n").find("begins with itself"), std::string::npos);
}

TEST(Gbnf, ItsLimits) {
  const GbnfLimits limits{.elements_max = 100, .rules_max = 20, .nesting_max = 5};
  EXPECT_NE(error_of("root ::= \"" + std::string(200, 'a') + "\"", limits).find("100 elements"),
            std::string::npos);
  EXPECT_NE(error_of("root ::= ((((((((\"a\"))))))))", limits).find("5 groups"), std::string::npos);
  std::string many = "root ::= \"a\"";
  for (int i = 0; i < 30; ++i) many += " (\"a\")";
  EXPECT_NE(error_of(many, limits).find("20 rules"), std::string::npos);
  EXPECT_NE(error_of("root ::= " + std::string(100'000, '(')).find("groups"), std::string::npos);
}

TEST(CharClass, Matches) {
  const CharClass some(false, {{'a', 'c'}, {'x', 'x'}, {'b', 'e'}, {'9', '0'}});
  for (const char c : {'a', 'e', 'x'}) EXPECT_TRUE(some.matches(static_cast<std::uint32_t>(c)));
  for (const char c : {'f', 'w', 'y', '9', '5'}) EXPECT_FALSE(some.matches(static_cast<std::uint32_t>(c)));
  EXPECT_TRUE(some.may_match('f', 'x'));
  EXPECT_FALSE(some.may_match('f', 'w'));
  const CharClass others(true, {{0x80, 0xBF}, {0xC0, 0xFF}});
  EXPECT_FALSE(others.may_match(0x80, 0xFF));
  EXPECT_TRUE(others.may_match(0x80, 0x100));
  EXPECT_TRUE(others.may_match(0x7F, 0xFF));
  EXPECT_TRUE(CharClass(true, {}).may_match(0, 0));
  EXPECT_FALSE(CharClass(false, {}).may_match(0, 0x10FFFF));
}

}  // namespace
}  // namespace pmt::model
