#include "upstream/usage_reader.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace pmt::upstream {
namespace {

struct Said {
  const char* text;
  std::int64_t prompt, answer;
  std::optional<std::int64_t> read;
  std::int64_t written, thought;
  const char* details;
};

TEST(UsageReader, EachProvidersWords) {
  const Said kAll[] = {
      {R"({"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":64}})",
       2006, 300, 1920, 0, 64,
       R"("prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":64})"},
      {R"({"prompt_tokens":2006,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":1000,"cache_write_tokens":1006}})",
       2006, 3, 1000, 1006, 0, R"("prompt_tokens_details":{"cached_tokens":1000,"cache_write_tokens":1006})"},
      {R"({"prompt_tokens":100,"completion_tokens":5,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36})",
       100, 5, 64, 0, 0, R"("prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36)"},
      {R"({"prompt_tokens":100,"completion_tokens":5,"prompt_cache_miss_tokens":100})", 100, 5, 0, 0, 0,
       R"("prompt_cache_miss_tokens":100)"},
      {R"({"prompt_tokens":100,"completion_tokens":5,"cached_tokens":99})", 100, 5, 99, 0, 0,
       R"("cached_tokens":99)"},
      {R"({"prompt_tokens":100,"completion_tokens":5,"cache_read_input_tokens":60,"cache_creation_input_tokens":30})",
       100, 5, 60, 30, 0, R"("cache_read_input_tokens":60,"cache_creation_input_tokens":30)"},
      {R"({"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":60,"cache_creation_input_tokens":30,"service_tier":"standard"})",
       100, 5, 60, 30, 0, R"("service_tier":"standard")"},
      {R"({"input_tokens":100,"input_tokens_details":{"cached_tokens":64},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":4},"total_tokens":105})",
       100, 5, 64, 0, 4, ""},
      {R"({"prompt_tokens":7,"completion_tokens":2})", 7, 2, std::nullopt, 0, 0, ""},
      {R"({"prompt_tokens":7,"completion_tokens":2,"prompt_tokens_details":null})", 7, 2, std::nullopt, 0, 0,
       R"("prompt_tokens_details":null)"},
      {"null", 0, 0, std::nullopt, 0, 0, ""},
  };
  for (const Said& said : kAll) {
    const llm::Usage usage = read_usage(said.text);
    EXPECT_EQ(usage.prompt_tokens, said.prompt) << said.text;
    EXPECT_EQ(usage.completion_tokens, said.answer) << said.text;
    EXPECT_EQ(usage.cached_prompt_tokens, said.read) << said.text;
    EXPECT_EQ(usage.cache_written_tokens, said.written) << said.text;
    EXPECT_EQ(usage.reasoning_tokens, said.thought) << said.text;
    EXPECT_EQ(usage.details, said.details) << said.text;
    EXPECT_EQ(usage.total_tokens, std::nullopt) << said.text;
  }
}

TEST(UsageReader, WhatCantBeIsNotCounted) {
  for (
      const char* text :
      {R"({"prompt_tokens":5,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":50,"cache_write_tokens":9},"completion_tokens_details":{"reasoning_tokens":7}})",
       R"({"prompt_tokens":-5,"completion_tokens":"2","prompt_tokens_details":{"cached_tokens":-1,"cache_write_tokens":1e300}})",
       R"({"prompt_tokens":5,"prompt_tokens_details":[],"completion_tokens_details":7,"cached_tokens":{}})",
       R"({"input_tokens":18446744073709551615,"cache_read_input_tokens":9223372036854775807,"cache_creation_input_tokens":9223372036854775807})"}) {
    ASSERT_TRUE(base::check_json(text)) << text;
    const llm::Usage usage = read_usage(text);
    const std::int64_t read = usage.cached_prompt_tokens.value_or(0);
    EXPECT_GE(usage.prompt_tokens, 0) << text;
    EXPECT_GE(read, 0) << text;
    EXPECT_GE(usage.cache_written_tokens, 0) << text;
    EXPECT_EQ(read + usage.cache_written_tokens + plain_prompt_tokens(usage), usage.prompt_tokens) << text;
    EXPECT_LE(usage.reasoning_tokens, usage.completion_tokens) << text;
  }
}

TEST(UsageReader, ItsSelfTestPasses) {
  EXPECT_EQ(usage_self_test(), std::nullopt);
}

}  // namespace
}  // namespace pmt::upstream
