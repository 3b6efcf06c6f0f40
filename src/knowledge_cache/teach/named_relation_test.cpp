#include "knowledge_cache/teach/named_relation.h"

#include <gtest/gtest.h>

namespace pmt::knowledge_cache {
namespace {

TEST(NamedRelation, IsWhatAQuestionAsksForByName) {
  const struct {
    const char *question, *name, *besides;
  } cases[] = {
      {"What is the support line of this thing?", "support line", ""},
      {"What was the revenue of this thing in 2023?", "revenue", " in 2023"},
      {"Tell me the motto of this thing.", "motto", ""},
      {"The motto of this thing", "motto", ""},
      {"What is this thing's motto?", "motto", ""},
      {"This thing's closing time?", "closing time", ""},
      {"What is the name of the head of this thing?", "name of the head", ""},
      {"Where is this thing?", "", ""},
      {"What is the motto?", "", ""},
      {"What is the year in which the first plant of this thing was built?", "", ""},  // a clause
      {"Which of this thing's many old and worn out parts is it?", "", ""},
      {"", "", ""},
  };
  for (const auto& each : cases) {
    const NamedRelation named = named_relation_of(each.question);
    EXPECT_EQ(named.name, each.name) << each.question;
    EXPECT_EQ(named.besides, each.besides) << each.question;
  }
}

TEST(NamedRelation, SaysItsThingAsTheQuestionDoes) {
  EXPECT_EQ(named_relation_of("What was the revenue of this thing in 2023?").thing(), "this thing in 2023");
}

}  // namespace
}  // namespace pmt::knowledge_cache
