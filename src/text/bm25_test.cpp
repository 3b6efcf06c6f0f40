#include "text/bm25.h"

#include <gtest/gtest.h>

namespace pmt::text {
namespace {

Bm25 three() {
  Bm25 index;
  index.add("The harbour of Quellmar opens at six in the morning.");
  index.add("Employees have twenty days of leave, and parents six months.");
  index.add("The office in Quellmar closes at five. Visitors sign at the desk.");
  return index;
}

TEST(Bm25, RanksByRareWords) {
  const Bm25 index = three();
  const auto hits = index.search("When does the harbour in Quellmar open?", 3);
  ASSERT_EQ(hits.size(), 2U) << "one has none of its words";
  EXPECT_EQ(hits[0].passage, 0U);
  EXPECT_EQ(hits[1].passage, 2U);
  EXPECT_GT(hits[0].score, hits[1].score);
  EXPECT_DOUBLE_EQ(hits[0].covered, 1.0);
  EXPECT_LT(hits[1].covered, 0.5);
}

TEST(Bm25, FoldsWords) {
  EXPECT_EQ(three().search("EMPLOYEE'S LEAVES", 1).at(0).passage, 1U);
  EXPECT_TRUE(three().search("what is it?", 3).empty()) << "stop words only";
  EXPECT_TRUE(Bm25().search("harbour", 3).empty());
}

TEST(Bm25, AForeignQuestionCoversLittle) {
  const auto hits = three().search("Which painter was born in the harbour town of Genoa?", 1);
  ASSERT_EQ(hits.size(), 1U);
  EXPECT_LT(hits[0].covered, 0.3);
}

}  // namespace
}  // namespace pmt::text
