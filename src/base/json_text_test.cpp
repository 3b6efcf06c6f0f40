#include "base/json_text.h"

#include <gtest/gtest.h>

namespace pmt::base {
namespace {

TEST(JsonText, DepthIsThatOfBracketsOutsideStrings) {
  EXPECT_FALSE(nests_deeper("", 0));
  EXPECT_FALSE(nests_deeper("[[]]", 2));
  EXPECT_TRUE(nests_deeper("[[]]", 1));
  EXPECT_TRUE(nests_deeper(R"({"a":[{)", 2));  // broken text counts too
  EXPECT_FALSE(nests_deeper(R"(["[[[[", "\"[[["])", 1));
  EXPECT_FALSE(nests_deeper("[],[],[]", 1));
  EXPECT_FALSE(nests_deeper("]]]][", 1));
  EXPECT_FALSE(nests_deeper("\"[[[[\\", 1));  // a string that never ends
  EXPECT_TRUE(nests_deeper(std::string(1'000'000, '['), 64));
}

TEST(JsonText, MembersKeepTheirOrderAndTheirText) {
  const auto members =
      object_members(" { \"z\" : 1.50 , \"a\":{\"x\":[1,\"}\"]}, \"q\\u0041\\\"\":\"s,}\" } ");
  ASSERT_TRUE(members);
  ASSERT_EQ(members->size(), 3U);
  EXPECT_EQ((*members)[0].name, "z");
  EXPECT_EQ((*members)[0].value, "1.50");
  EXPECT_EQ((*members)[1].value, "{\"x\":[1,\"}\"]}");
  EXPECT_EQ((*members)[2].name, "qA\"");
  EXPECT_EQ((*members)[2].value, "\"s,}\"");
  EXPECT_TRUE(object_members("{}")->empty());
}

TEST(JsonText, WhatIsNoObjectHasNoMembers) {
  for (const char* text : {"", "[]", "1", "{", "{\"a\"}", "{\"a\":1}x", "{\"a\":1,}", "\"{}\"", "{a:1}"}) {
    EXPECT_FALSE(object_members(text)) << text;
  }
}

TEST(JsonText, PartsKeepTheirText) {
  const auto members = members_of(R"("a" : 1,"b":[1, {"c":"]"}] , "d":"x\"}")");
  ASSERT_EQ(members.size(), 3U) << "without braces, too";
  EXPECT_EQ(members[0].whole, "\"a\" : 1");
  EXPECT_EQ(members[0].quoted, "\"a\"");
  EXPECT_EQ(members[1].value, R"([1, {"c":"]"}])");
  EXPECT_EQ(value_of(members, "d"), R"("x\"}")");
  EXPECT_TRUE(is_null(value_of(members, "e")));
  EXPECT_EQ(items_of(members[1].value), (std::vector<std::string_view>{"1", R"({"c":"]"})"}));
  EXPECT_TRUE(items_of(" [ ] ").empty());
  EXPECT_EQ(value_of(members_of(R"({"a":1,"a":2})"), "a"), "2") << "the last one counts";
  EXPECT_TRUE(members_of("").empty());
}

TEST(JsonText, MembersWithoutSomeKeepTheirText) {
  const std::vector<std::string_view> names = {"b", "none"};
  EXPECT_EQ(members_without(R"({"a" : 1.0, "\u0062":[{"b":2}] ,"c":{}, "b":3})", names),
            R"("a" : 1.0,"c":{})");
  EXPECT_EQ(members_without(R"("b":1)", names), "") << "without braces, too";
  EXPECT_EQ(members_without(R"("a":1,"a":2)", names), R"("a":1,"a":2)");
  EXPECT_EQ(members_without("", names), "");
}

TEST(JsonText, ABackslashEscapesOnlyWhatFollows) {
  EXPECT_EQ(past_string(R"("a\\" x)", 0), 5U);
  EXPECT_EQ(past_string(R"("a\\\"" x)", 0), 7U);
  EXPECT_EQ(past_string(R"("never)", 0), 6U);
}

TEST(JsonText, IntegersAreWhole) {
  EXPECT_EQ(json_integer("-12"), -12);
  EXPECT_EQ(json_integer("2.0"), 2);
  for (const char* none : {"", "null", "2.5", "\"2\"", "99999999999999999999", "[]"})
    EXPECT_FALSE(json_integer(none)) << none;
}

TEST(JsonText, QuotedTextIsAlwaysJson) {
  EXPECT_EQ(json_quoted("a\"b\n"), "\"a\\\"b\\n\"");
  EXPECT_EQ(json_quoted("\xff"), "\"\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace pmt::base
