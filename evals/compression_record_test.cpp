#include "evals/compression_record.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace pmt::evals {
namespace {

Answer answer(const Asked& asked, const Setting& setting, double full, double score) {
  return {.asked = asked,
          .setting = setting,
          .mode = setting.mode,
          .found = "at_end",
          .ratio_achieved = setting.ratio,
          .prompt_tokens = asked.tokens - 60,
          .prefix_tokens_reused = 7,
          .full = full,
          .score = score};
}

const Setting kExact{"exact", 1}, kAware{"query_aware", 8};

class CompressionRecordTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove(path_); }
  void TearDown() override { std::filesystem::remove(path_); }
  std::string path_ =
      (std::filesystem::temp_directory_path() /
       ("compression_record_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name())))
          .string();
};

TEST_F(CompressionRecordTest, AShareAndALengthAreReadAsTheyWereWritten) {
  const Asked short_one{"ruler_multivalue", 4096, 2, 0}, long_one{"ruler_multivalue", 8192, 2, 0};
  {
    CompressionRecord record;
    ASSERT_TRUE(record.open(path_, 1, false));
    record.add(answer(short_one, kExact, .75, .75));
    record.add(answer(short_one, kAware, .75, .5));
    record.add(answer(long_one, kExact, 1, 1));
  }
  CompressionRecord record;
  ASSERT_TRUE(record.open(path_, 1, false));
  const Answer* const found = record.find(short_one, kAware);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->full, .75);
  EXPECT_EQ(found->score, .5);
  EXPECT_EQ(found->asked.tokens, 4096);
  EXPECT_EQ(found->prefix_tokens_reused, 7);
  EXPECT_EQ(record.find(long_one, kAware), nullptr) << "another length is another question";
  EXPECT_EQ(record.find(long_one, kExact)->score, 1);
}

TEST_F(CompressionRecordTest, ARecordFromBeforeThereWereLengthsIsRead) {
  std::ofstream(path_) << R"({"asks":"requests","eval":"compression","seed":1})" << '\n'
                       << R"({"task":"xquad","item":3,"question":1,"mode":"query_aware","ratio":8.0,)"
                       << R"("ratio_achieved":7.5,"full":true,"solved":false,"prompt_tokens":1300})" << '\n';
  CompressionRecord record;
  ASSERT_TRUE(record.open(path_, 1, true));
  const Answer* const found = record.find({"xquad", 0, 3, 1}, kAware);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->full, 1);
  EXPECT_EQ(found->score, 0);
}

TEST_F(CompressionRecordTest, WholeAnswersAreWrittenAsTrueAndFalse) {
  {
    CompressionRecord record;
    ASSERT_TRUE(record.open(path_, 1, false));
    record.add(answer({"xquad", 0, 0, 0}, kAware, 1, 0));
  }
  std::ifstream file(path_);
  std::string header, line;
  std::getline(file, header);
  std::getline(file, line);
  EXPECT_NE(line.find(R"("full":true)"), std::string::npos) << line;
  EXPECT_NE(line.find(R"("solved":false)"), std::string::npos) << line;
}

TEST(CompressionRows, SharesAreSummedForEachLength) {
  CompressionRecord record;
  record.add(answer({"ruler_multivalue", 4096, 0, 0}, kAware, 1, .5));
  record.add(answer({"ruler_multivalue", 4096, 1, 0}, kAware, .5, .75));
  record.add(answer({"ruler_multivalue", 4096, 1, 0}, kAware, 1, 1));  // answered before: doesn't count
  record.add(answer({"ruler_multivalue", 8192, 0, 0}, kAware, 1, 1));
  const auto rows = record.rows();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0]["tokens"], 4096);
  EXPECT_EQ(rows[0]["asked"], 2);
  EXPECT_DOUBLE_EQ(rows[0]["full"].get<double>(), .75);
  EXPECT_DOUBLE_EQ(rows[0]["score"].get<double>(), .625);
  EXPECT_DOUBLE_EQ(rows[0]["kept"].get<double>(), 1 / 1.5)
      << "what the exact cache didn't have can't be kept";
  EXPECT_EQ(rows[1]["tokens"], 8192);

  const auto results =
      record.results({.model_digest = "aa", .model_name = "m", .date = "2026-11-30", .file_bytes = 1});
  ASSERT_EQ(results["rows"].size(), 2U);
  const auto& row = results["rows"][0];
  EXPECT_EQ(row["tokens"], 4096);
  EXPECT_EQ(row["prompt_tokens"], (nlohmann::ordered_json{2048, 4096}));
  EXPECT_EQ(row["exact_right"], 1.5);
  EXPECT_EQ(row["kept_right"], 1);
  EXPECT_TRUE(row["kept_right"].is_number_integer());
  EXPECT_EQ(row["right"], 1.25);
}

TEST(CompressionRows, ATaskOfItsOwnLengthHasNone) {
  CompressionRecord record;
  record.add(answer({"xquad", 0, 0, 0}, kAware, 1, 1));
  EXPECT_TRUE(record.rows()[0]["tokens"].is_null());
  EXPECT_FALSE(record.results({})["rows"][0].contains("tokens"));
}

TEST(CompressionTargets, RulersAreOverAllKindsTo8K) {
  CompressionRecord record;
  record.add(answer({"ruler_qa", 4096, 0, 0}, kAware, 1, 1));
  record.add(answer({"ruler_multikey", 8192, 0, 0}, kAware, 1, .5));
  record.add(answer({"ruler_qa", 16384, 0, 0}, kAware, 1, 0));
  const auto targets = compression_targets(record.rows());
  ASSERT_EQ(targets.size(), 1U);
  EXPECT_DOUBLE_EQ(targets[0].measured, .75);
  EXPECT_FALSE(targets[0].holds);
}

}  // namespace
}  // namespace pmt::evals
