#include "app/wiring/model_versions.h"

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace pmt::app {
namespace {

using inference::LocalModelOptions;

TEST(ModelVersions, WhatDecidesAnswersIsToldApart) {
  LocalModelOptions by_template, by_ratio, by_decoding, by_window, by_runtime, by_cells;
  by_template.chat_template = "{{ messages }}";
  by_ratio.kv_ratio = 8;
  by_decoding.kv_decoding = true;
  by_window.kv_recent_tokens = 512;
  by_runtime.runtime = inference::RuntimeChoice::kLibllama;
  by_cells.cell_type = inference::CellType::kQ8_0;
  std::set<std::string> told{answer_settings({}).dump()};
  for (const LocalModelOptions& one : {by_template, by_ratio, by_decoding, by_window, by_runtime, by_cells})
    told.insert(answer_settings(one).dump());
  EXPECT_EQ(told.size(), 7U);
}

TEST(ModelVersions, HowFastItAnswersDoesnt) {
  LocalModelOptions other;
  other.threads = 7;
  other.kv_bytes_max = 1 << 20;
  other.sequences_max = 2;
  other.prefill_chunk_tokens = 64;
  other.prefix_bytes_max = 0;
  other.draft_path = "small.gguf";
  EXPECT_TRUE(answer_settings({}).is_null()) << "nothing of them was changed";
  EXPECT_EQ(answer_settings(other), answer_settings({}));
}

TEST(ModelVersions, AnotherFileOfOneNameIsAnotherModel) {
  LocalModelOptions model;
  model.path = (std::filesystem::path(::testing::TempDir()) / "pmt_model_versions.gguf").string();
  const auto written = [&](const std::string& bytes) {
    std::ofstream(model.path, std::ios::binary) << bytes;
    return model_versions(model);
  };
  const nlohmann::json one = written("weights"), same = written("weights"), other = written("height.");
  std::filesystem::remove(model.path);
  EXPECT_EQ(one, same);
  EXPECT_NE(one, other);
}

}  // namespace
}  // namespace pmt::app
