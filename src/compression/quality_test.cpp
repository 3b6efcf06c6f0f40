#include "compression/quality.h"

#include <algorithm>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace pmt::compression {
namespace {

constexpr char kFile[] = R"({"schema": 1, "models": {"aa": {"file_bytes": 10}}, "rows": [
  {"model": "aa", "task": "needle", "unit": "questions", "mode": "query_aware", "ratio": 8, "by": "request",
   "prompt_tokens": [1024, 2048], "exact_right": 100, "kept_right": 98},
  {"model": "aa", "task": "needle", "unit": "questions", "mode": "query_agnostic", "ratio": 8, "by": "request",
   "prompt_tokens": [1024, 2048], "exact_right": 100, "kept_right": 95},
  {"model": "aa", "task": "needle", "unit": "questions", "mode": "query_aware", "ratio": 64, "by": "request",
   "prompt_tokens": [1024, 2048], "exact_right": 100, "kept_right": 50},
  {"model": "aa", "task": "needle", "unit": "questions", "mode": "query_agnostic", "ratio": 64, "by": "request",
   "prompt_tokens": [1024, 2048], "exact_right": 100, "kept_right": 50},
  {"model": "aa", "task": "rules", "unit": "questions", "mode": "query_aware", "ratio": 8, "by": "harness",
   "prompt_tokens": null, "exact_right": 10, "kept_right": 9},
  {"model": "bb", "task": "needle", "unit": "questions", "mode": "query_aware", "ratio": 8, "by": "request",
   "prompt_tokens": null, "exact_right": 1, "kept_right": 1}]})";

Quality measured() {
  auto read = read_quality(kFile, "aa");
  EXPECT_TRUE(read) << read.error().message;
  return read ? *read : Quality();
}

TEST(Quality, AModelHasItsOwnRowsAndOthersNone) {
  EXPECT_EQ(measured().rows().size(), 5U);
  EXPECT_TRUE(read_quality(kFile, "cc")->rows().empty());
  EXPECT_TRUE(Quality().safe_tasks(Mode::kExact, 1).empty());
}

TEST(Quality, ExactIsSafeForEveryMeasuredTask) {
  EXPECT_EQ(measured().safe_tasks(Mode::kExact, 1), (std::vector<std::string>{"needle", "rules"}));
}

TEST(Quality, ARatioIsJudgedByTheNextMeasuredOne) {
  const Quality quality = measured();
  EXPECT_EQ(quality.safe_tasks(Mode::kQueryAware, 8), std::vector<std::string>{"needle"});
  EXPECT_EQ(quality.safe_tasks(Mode::kQueryAware, 5), std::vector<std::string>{"needle"});
  EXPECT_TRUE(quality.safe_tasks(Mode::kQueryAware, 9).empty());
}

TEST(Quality, AutoTakesWhatKeepsMore) {
  const Quality quality = measured();
  EXPECT_EQ(quality.better(8, 1300), Mode::kQueryAware);
  EXPECT_EQ(quality.better(4, 1300), Mode::kQueryAware) << "judged by 8";
  EXPECT_EQ(quality.better(64, 1300), Mode::kQueryAgnostic) << "a tie";
  EXPECT_EQ(quality.better(8, 4000), Mode::kQueryAgnostic) << "that length wasn't measured";
  EXPECT_EQ(Quality().better(8, 1300), Mode::kQueryAgnostic);
}

TEST(Quality, AHarnesssRowsDontDecideForRequests) {
  const auto read = read_quality(R"({"schema": 1, "rows": [
    {"model": "aa", "task": "t", "unit": "questions", "mode": "query_aware", "ratio": 8, "by": "harness",
     "prompt_tokens": [0, 9999], "exact_right": 10, "kept_right": 10},
    {"model": "aa", "task": "t", "unit": "questions", "mode": "query_agnostic", "ratio": 8, "by": "harness",
     "prompt_tokens": [0, 9999], "exact_right": 10, "kept_right": 1}]})",
                                 "aa");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->better(8, 1300), Mode::kQueryAgnostic);
}

TEST(Quality, AnythingElseIsRefused) {
  EXPECT_FALSE(read_quality("no", "aa"));
  EXPECT_FALSE(read_quality(R"({"schema": 2, "rows": []})", "aa"));
  EXPECT_FALSE(
      read_quality(R"({"schema": 1, "rows": [{"model": "aa", "task": "t", "mode": "other"}]})", "aa"));
  EXPECT_FALSE(
      read_quality(R"({"schema": 1, "rows": [{"model": "aa", "task": "t", "mode": "query_aware"}]})", "aa"));
}

/// The results that ship with the program.
TEST(Quality, AMissingModelFileHasNone) {
  EXPECT_TRUE(quality_of("/nowhere/model.gguf").rows().empty());
}

}  // namespace
}  // namespace pmt::compression
