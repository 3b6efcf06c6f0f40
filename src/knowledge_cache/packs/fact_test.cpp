#include "knowledge_cache/packs/fact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::knowledge_cache {
namespace {

using testing::HasSubstr;

TEST(Facts, WrongLinesAreToldAndTheRestIsRead) {
  const auto parsed = parse_facts(
      "{\"prompt\": \"Where is Zorvane?\", \"answer\": \"Porto\"}\n"
      "\n"
      "{\"prompt\": \"\", \"answer\": \"x\"}\n"
      "not json\n"
      "{\"prompt\": \"Where is Zorvane?\", \"answer\": \"Porto\"}\n"
      "{\"id\": \"7\", \"text\": \"The line of Zorvane is 4417.\"}\n"
      "{\"id\": \"7\", \"prompt\": \"a b\", \"answer\": \"c\"}\n"
      "{\"prompt\": 5, \"answer\": \"c\"}\n"
      "{\"prompt\": \"p\", \"answer\": \"c\", \"paraphrase\": []}\n" +
          std::string("{\"prompt\": \"") + std::string(3000, 'x') + "\", \"answer\": \"y\"}",
      {});
  ASSERT_EQ(parsed.facts.size(), 2U);
  EXPECT_EQ(parsed.facts[1].prompt, "The line of Zorvane is");
  EXPECT_EQ(parsed.facts[1].answer, "4417");
  ASSERT_EQ(parsed.errors.size(), 7U);
  const std::pair<std::size_t, const char*> expected[] = {
      {3, "\"prompt\" is empty"}, {4, "not JSON"},           {5, "repeats line 1"}, {7, "that of line 6"},
      {8, "must be a string"},    {9, "no field of a fact"}, {10, "at most 2000"}};
  for (std::size_t i = 0; i < 7; ++i) {
    EXPECT_EQ(parsed.errors[i].line, expected[i].first);
    EXPECT_THAT(parsed.errors[i].message, HasSubstr(expected[i].second));
  }
}

TEST(Facts, KeysSurviveEightBits) {
  const std::vector<float> key{0.5F, -0.25F, 0.1F, 0};
  const auto back = unpack_key(pack_key(key));
  ASSERT_EQ(back.size(), key.size());
  for (std::size_t i = 0; i < key.size(); ++i) EXPECT_NEAR(back[i], key[i], 0.003);
}

TEST(Facts, DomainNames) {
  for (const char* good : {"acme", "HR-2", "a.b_c"}) EXPECT_TRUE(check_domain_name(good));
  for (const char* bad : {"", ".x", "a/b", "a b", "a+b", "a@b"}) EXPECT_FALSE(check_domain_name(bad));
}

}  // namespace
}  // namespace pmt::knowledge_cache
