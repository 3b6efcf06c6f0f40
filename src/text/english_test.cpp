#include "text/english.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

namespace pmt::text {
namespace {

TEST(English, EveryFileHasLinesAndNoComments) {
  for (const std::string_view name : english_files()) {
    const auto lines = english(name);
    EXPECT_FALSE(lines.empty()) << name;
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

TEST(English, AWordHasOneNameInItsFile) {
  for (const char* name : {"units", "slots", "auxiliaries", "asking_words", "calendar"}) {
    std::size_t words = 0;
    for (const std::string_view line : english(name))
      words += fields_of(line.substr(line.find(':') + 1)).size();
    EXPECT_EQ(english_names(name).size(), words) << name << ": a word stands there twice";
  }
}

}  // namespace
}  // namespace pmt::text
