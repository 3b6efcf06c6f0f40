#include "llm/json_sum.h"

#include <chrono>

#include <gtest/gtest.h>

namespace pmt::llm {
namespace {

std::string sum(JsonSum::Rule rule, const std::vector<std::string>& pieces) {
  JsonSum all(rule);
  for (const std::string& piece : pieces) all.add(piece);
  return all.text();
}

TEST(JsonSum, WhatComesOnceStaysAsItWasWritten) {
  const std::string once = R"("a" : 1.50,"b\u0062":[ 1, 2 ],"c":{"z":1,"a":"\u00e9"},"d":null)";
  EXPECT_EQ(sum(JsonSum::Rule::kLast, {once}),
            R"("a":1.50,"b\u0062":[ 1, 2 ],"c":{"z":1,"a":"\u00e9"},"d":null)");
  EXPECT_EQ(sum(JsonSum::Rule::kJoined, {"", once, ""}), sum(JsonSum::Rule::kLast, {once}));
  EXPECT_EQ(sum(JsonSum::Rule::kJoined, {}), "");
}

TEST(JsonSum, JoinedIsWhatTheWholeWouldHaveBeen) {
  EXPECT_EQ(sum(JsonSum::Rule::kJoined, {R"("reasoning_content":"I ")", R"("reasoning_content":null,"x":1)",
                                         R"("reasoning_content":"th\"ink","x":2)"}),
            R"("reasoning_content":"I th\"ink","x":2)");
  EXPECT_EQ(sum(JsonSum::Rule::kJoined, {R"("audio":{"id":"a","data":"UklG"})",
                                         R"("audio":{"id":"a","data":"Rg==","expires_at":9})"}),
            R"("audio":{"id":"a","data":"UklGRg==","expires_at":9})");
  EXPECT_EQ(sum(JsonSum::Rule::kJoined, {R"("annotations":[{"type":"a"}])", R"("annotations":[])",
                                         R"("annotations":[{"type":"b"}])"}),
            R"("annotations":[{"type":"a"},{"type":"b"}])");
  EXPECT_EQ(sum(JsonSum::Rule::kJoined,
                {R"("r":[{"index":0,"type":"t","text":"a"}])",
                 R"("r":[{"index":1,"type":"t","text":"x"},{"index":0,"type":"t","text":"b"}])",
                 R"("r":[{"index":1,"text":"y"}])"}),
            R"("r":[{"index":0,"type":"t","text":"ab"},{"index":1,"type":"t","text":"xy"}])");
  EXPECT_EQ(sum(JsonSum::Rule::kJoined, {R"("a":"x")", R"("a":["y"])"}), R"("a":["y"])")
      << "of two types, the last";
}

TEST(JsonSum, OfAChoiceOnlyListsGrow) {
  EXPECT_EQ(
      sum(JsonSum::Rule::kChoice,
          {R"("stop_reason":null,"token_ids":[1],"logprobs":{"content":[{"token":"a"}]},"f":{"s":"safe"})",
           R"("stop_reason":"x","token_ids":[2,3],"logprobs":{"content":[{"token":"b"}]},"f":{"s":"safe"})"}),
      R"("stop_reason":"x","token_ids":[1,2,3],"logprobs":{"content":[{"token":"a"},{"token":"b"}]},"f":{"s":"safe"})");
}

TEST(JsonSum, OfTheLastNothingGrows) {
  EXPECT_EQ(sum(JsonSum::Rule::kLast, {R"("c":["x"],"p":"a")", R"("c":["x","y"],"p":null)"}),
            R"("c":["x","y"],"p":null)");
}

/// A hostile stream of many small pieces costs no more than its bytes.
TEST(JsonSum, ManyPiecesAreLinear) {
  JsonSum all(JsonSum::Rule::kJoined);
  for (int i = 0; i < 50'000; ++i) all.add(R"("t":"ab","l":[{"index":)" + std::to_string(i % 5000) + "}]");
  EXPECT_GT(all.text().size(), 100'000U);
}

/// Where 64 long items are open, a piece of one is joined without a look into the others.
TEST(JsonSum, ItemsAreNotReadAgainForEachPiece) {
  constexpr int kItems = 64, kPieces = 20'000;
  const std::string filler(4096, 'x');
  JsonSum all(JsonSum::Rule::kJoined);
  for (int i = 0; i < kItems; ++i)
    all.add(R"("l":[{"index":)" + std::to_string(i) + R"(,"t":")" + filler + "\"}]");
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < kPieces; ++i) all.add(R"("l":[{"index":)" + std::to_string(i % 2) + R"(,"t":"y"}])");
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  EXPECT_LT(took.count(), 2) << "read again, 5 GB of text would be looked at";
  EXPECT_NE(all.text().find(filler + std::string(kPieces / 2, 'y')), std::string::npos);
}

TEST(JsonSum, AnItemIsFoundByItsIndexAfterManyPieces) {
  JsonSum all(JsonSum::Rule::kJoined);
  all.add(R"("l":[{"index":3,"t":"a"},{"index":4,"t":"x"},{"t":"none"}])");
  for (int i = 0; i < 3; ++i) all.add(R"("l":[{"index":3,"t":"b"}])");
  all.add(R"("l":[{"t":"none"},{"index":4,"t":"y"}])");
  EXPECT_EQ(all.text(), R"("l":[{"index":3,"t":"abbb"},{"index":4,"t":"xy"},{"t":"none"},{"t":"none"}])");
}

}  // namespace
}  // namespace pmt::llm
