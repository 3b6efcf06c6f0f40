#include "knowledge_cache/gate/embedding_memo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::knowledge_cache {
namespace {

using testing::ElementsAre;

TEST(EmbeddingMemo, WhatWasEmbeddedIsNotEmbeddedAgain) {
  std::size_t embedded = 0;
  const Embed embed = [&](const std::vector<std::string>& texts) -> base::Result<std::vector<float>> {
    embedded += texts.size();
    std::vector<float> rows;
    for (const std::string& text : texts) rows.insert(rows.end(), {static_cast<float>(text.size()), 1.0F});
    return rows;
  };
  EmbeddingMemo memo;
  EXPECT_THAT(memo.embed(embed, {"a", "bb"}).value(), ElementsAre(1, 1, 2, 1));
  EXPECT_EQ(embedded, 2U);
  EXPECT_THAT(memo.embed(embed, {"bb", "ccc", "a"}).value(), ElementsAre(2, 1, 3, 1, 1, 1));
  EXPECT_EQ(embedded, 3U);
}

TEST(EmbeddingMemo, StaysBounded) {
  EmbeddingMemo memo(4);
  for (int i = 0; i < 100; ++i) memo.add({std::to_string(i)}, {1.0F});
  EXPECT_TRUE(memo.rows_of({"1"}).empty());
  EXPECT_FALSE(memo.rows_of({"99"}).empty());
}

TEST(EmbeddingMemo, AFailureIsNotKept) {
  EmbeddingMemo memo;
  const Embed fails = [](const auto&) -> base::Result<std::vector<float>> {
    return base::Error{base::Code::kUnavailable, "busy"};
  };
  EXPECT_FALSE(memo.embed(fails, {"a"}));
  EXPECT_THAT(memo.unknown_of({"a", "a"}), ElementsAre("a"));
}

}  // namespace
}  // namespace pmt::knowledge_cache
