#include "engine/model_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::engine {
namespace {

TEST(ModelSource, AHubSourceIsReadAndWrittenAgain) {
  const auto plain = parse_hub_source("hf:user/repo-GGUF");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->repo, "user/repo-GGUF");
  EXPECT_EQ(plain->revision, "main");
  EXPECT_EQ(plain->wanted, "");
  for (const char* text : {"hf:u/r", "hf:u/r:Q4_K_M", "hf:u/r@v1.0:Q8_0", "hf:u/r:sub/model-Q4_0.gguf",
                           "hf:u/r@refs/pr/1:IQ2_XXS"}) {
    const auto source = parse_hub_source(text);
    ASSERT_TRUE(source) << text;
    EXPECT_EQ(source->text(), text);
  }
}

TEST(ModelSource, WhatCannotBeAPlaceOnTheHubIsRefused) {
  for (const char* text :
       {"hf:", "hf:repo", "hf:a/b/c", "hf:../repo", "hf:a/..", "hf:u/r:", "hf:u/r@:Q4", "hf:u/r:../x.gguf",
        "hf:u/r:/etc/x.gguf", "hf:u/r?x", "hf:u/ r", "hf:u/r:Q4\n", "hf:u/r@a?b=c"}) {
    const auto source = parse_hub_source(text);
    ASSERT_FALSE(source) << text;
    EXPECT_EQ(source.error().code, base::Code::kInvalidArgument);
    EXPECT_THAT(source.error().message, ::testing::HasSubstr("hf:USER/REPO"));
  }
}

TEST(ModelSource, NamesAndFilesAreNoSources) {
  EXPECT_TRUE(is_source("hf:u/r"));
  EXPECT_TRUE(is_source("https://h/x.gguf"));
  EXPECT_FALSE(is_source("smollm2-135m-instruct"));
  EXPECT_FALSE(is_source("./models/x.gguf"));
}

TEST(ModelSource, AQuantizationIsAWholeWordOfTheName) {
  EXPECT_TRUE(has_quantization("Qwen3-8B-Q4_K_M.gguf", "Q4_K_M"));
  EXPECT_TRUE(has_quantization("qwen3-8b-q4_k_m.gguf", "Q4_K_M"));
  EXPECT_TRUE(has_quantization("Q4_K_M/model-00001-of-00002", "q4_k_m"));
  EXPECT_TRUE(has_quantization("model.Q4_0.gguf", "Q4_0"));
  EXPECT_FALSE(has_quantization("model-Q4_K_M.gguf", "Q4_K"));
  EXPECT_FALSE(has_quantization("model-IQ4_XS.gguf", "Q4_XS"));
  EXPECT_FALSE(has_quantization("model-Q4_K_M.gguf", ""));
}

TEST(ModelSource, PartsHaveNumbers) {
  const auto part = part_name("Q8/big-Q8_0-00002-of-00003.gguf");
  ASSERT_TRUE(part);
  EXPECT_EQ(part->stem, "Q8/big-Q8_0");
  EXPECT_EQ(part->number, 2);
  EXPECT_EQ(part->count, 3);
  EXPECT_EQ(part_file(part->stem, 2, 3), "Q8/big-Q8_0-00002-of-00003.gguf");
  for (const char* other : {"big.gguf", "big-00004-of-00003.gguf", "big-00000-of-00003.gguf",
                            "big-0001-of-0003.gguf", "-00001-of-00003.gguf", "big-00001-of-00003.bin", ""})
    EXPECT_FALSE(part_name(other)) << other;
}

TEST(ModelSource, AFilesNameBecomesAModelsName) {
  EXPECT_EQ(name_of_file("Q8/Big Model-Q8_0-00002-of-00003.gguf"), "big-model-q8_0");
  EXPECT_EQ(name_of_file("Qwen3-8B-Q4_K_M.gguf"), "qwen3-8b-q4_k_m");
  EXPECT_EQ(name_of_file("..hidden.gguf"), "hidden");
  EXPECT_TRUE(is_model_name("qwen3-8b.q4_k_m"));
  for (const char* bad : {"", ".hidden", "a/b", "a b", "a\n"}) EXPECT_FALSE(is_model_name(bad)) << bad;
}

}  // namespace
}  // namespace pmt::engine
