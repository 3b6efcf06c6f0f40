#include "rlm/records.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "rlm/test_texts.h"

namespace pmt::rlm {
namespace {

Records found(const std::string& text) {
  Watch watch;
  return find_records(text, watch).value();
}

TEST(Records, AreFoundAmongProse) {
  const std::string text =
      "Prose before, with a comma: and a colon.\n"
      "order=1; city=New York; status=paid; amount=10.50\n"
      "order=2; city=York; status=cancelled; amount=20\n"
      "More prose in between; nothing to see here.\n"
      "Order=3; city=Lisbon; City=Porto; amount=30\n";
  const Records records = found(text);
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(records.value(0, "city"), "New York");
  EXPECT_EQ(records.value(2, "order"), "3");
  EXPECT_EQ(records.value(2, "city"), "Porto") << "the last one counts";
  EXPECT_EQ(records.value(2, "status"), std::nullopt);
  EXPECT_EQ(records.value(2, "weight"), std::nullopt);
}

TEST(Records, TablesWithRulesAndLineEnds) {
  const std::string text =
      "| name | kind | age |\r\n|---|---|---|\r\n| a | cat | 3 |\r\n| b | dog | 4 |\r\n| c | cat | 5 |\r\n"
      "| d | cat | 6 |\r\n\r\nprose, with, commas\r\n";
  const Records records = found(text);
  ASSERT_EQ(records.size(), 4U);
  EXPECT_EQ(records.value(3, "kind"), "cat");
  EXPECT_EQ(records.value(0, "age"), "3");
  const std::string few = "name,kind,age\na,cat,3\nb,dog,4\nc,cat,5\n";
  EXPECT_EQ(found(few).size(), 0U) << "three lines may be anything";
}

TEST(Records, ValuesOfJsonLiveAsLongAsTheRecords) {
  std::string text;
  for (int i = 0; i < 5'000; ++i)
    text += fmt::format("{{\"id\": {}, \"name\": \"caf\\u00e9 {}\", \"inner\": {{\"x\": 1}}}}\n", i, i);
  const Records records = found(text);
  ASSERT_EQ(records.size(), 5'000U);
  for (const std::size_t i : {0U, 4'999U}) {
    EXPECT_EQ(records.value(i, "name"), fmt::format("caf\u00e9 {}", i));
    EXPECT_EQ(records.value(i, "id"), std::to_string(i));
  }
}

TEST(Records, MoreNamesThanAQuestionCouldMeanAreNoRecords) {
  std::string text;
  for (int i = 0; i < 3'000; ++i) text += fmt::format("a{}=1 b{}=2\n", i, i);
  EXPECT_TRUE(found(text).empty());
}

/// No text may take more than its share: eight times the bytes, eight times the time.
TEST(Records, AreFoundInLinearTime) {
  for (const char* kind : kTextKinds) {
    expect_linear(kind, [](const std::string& text) {
      Watch watch;
      EXPECT_TRUE(find_records(text, watch));
    });
  }
}

TEST(Records, ACancelledSearchEndsSoon) {
  for (const char* kind : kTextKinds) {
    const std::string long_text = text_of_kind(kind, 6 << 20);
    expect_ends_when_cancelled(kind, long_text, [](const std::string& text, Watch& watch) -> base::Status {
      TRY(find_records(text, watch));
      return {};
    });
  }
}

}  // namespace
}  // namespace pmt::rlm
