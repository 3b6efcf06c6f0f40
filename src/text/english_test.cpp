#include "text/english.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

namespace pmt::text {
namespace {

TEST(English, EveryFileHasLinesAndNoComments) {
  for (const char* name : {"common_relations", "following_words", "generic_questions", "relations"}) {
    const auto lines = english(name);
    EXPECT_GT(lines.size(), 5U) << name;
    for (const std::string_view line : lines) {
      EXPECT_NE(line.front(), '#') << name;
      EXPECT_EQ(line.find_first_of("\r\t"), std::string_view::npos) << name << ": " << line;
    }
  }
}

TEST(English, ARelationHasANameAndFourWordingsOfAThing) {
  for (const char* name : {"common_relations", "relations"}) {
    for (const std::string_view line : english(name)) {
      EXPECT_EQ(std::ranges::count(line, '|'), 4) << line;
      std::size_t things = 0;
      for (auto at = line.find("{}"); at != std::string_view::npos; at = line.find("{}", at + 2)) ++things;
      EXPECT_GE(things, 4U) << line;
    }
  }
}

}  // namespace
}  // namespace pmt::text
