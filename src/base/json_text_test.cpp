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

TEST(JsonText, QuotedTextIsAlwaysJson) {
  EXPECT_EQ(json_quoted("a\"b\n"), "\"a\\\"b\\n\"");
  EXPECT_EQ(json_quoted("\xff"), "\"\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace pmt::base
