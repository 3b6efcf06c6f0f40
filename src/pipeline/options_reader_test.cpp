#include "pipeline/options_reader.h"

#include <gtest/gtest.h>

#include <string>

#include "pipeline/unified_request.h"

namespace pmt::pipeline {
namespace {

base::Status read(const std::string& json, llm::EngineOptions& into) {
  simdjson::dom::parser parser;
  return base::read_member(options_reader(), parser.parse(json).value_unsafe(), into);
}

TEST(UnifiedOptionsReader, ReadsEveryMember) {
  llm::EngineOptions options;
  ASSERT_TRUE(read(R"({"enable_basic_kv": false, "enable_continual_kv": true, "enable_inference_kv": false,
                       "ratio": 16, "rlm_context_threshold": 0})",
                   options));
  EXPECT_EQ(options.get<UnifiedRequest>(), (UnifiedRequest{.basic_kv = false,
                                                           .continual_kv = true,
                                                           .inference_kv = false,
                                                           .ratio = 16,
                                                           .rlm_context_threshold = 0}));
}

TEST(UnifiedOptionsReader, AMemberGivenAgainChangesOnlyItself) {
  llm::EngineOptions options;
  ASSERT_TRUE(read(R"({"ratio": 16, "enable_basic_kv": false})", options));
  ASSERT_TRUE(read(R"({"ratio": 8})", options));
  EXPECT_EQ(options.get<UnifiedRequest>(), (UnifiedRequest{.basic_kv = false, .ratio = 8}));
}

TEST(UnifiedOptionsReader, RefusesNamingThePath) {
  const struct {
    const char *json, *field, *says;
  } bad[] = {
      {"[]", "unified", "must be an object, not an array"},
      {R"({"enable_basic_kv": "no"})", "unified.enable_basic_kv",
       "must be true or false, not the string \"no\""},
      {R"({"ratio": 9})", "unified.ratio", "must be 8, 16, 32 or 64, not 9"},
      {R"({"rlm_context_threshold": -1})", "unified.rlm_context_threshold",
       "must be an integer of at least 0, not -1"},
      {R"({"ratios": 8})", "unified.ratios", "is not a setting, did you mean 'ratio'?"},
  };
  for (const auto& [json, field, says] : bad) {
    llm::EngineOptions options;
    const auto status = read(json, options);
    ASSERT_FALSE(status) << json;
    EXPECT_EQ(status.error().field, field);
    EXPECT_EQ(status.error().message, says);
  }
}

/// The bytes that entries on disk are keyed by, but for numbers, which the cache writes its own way.
TEST(UnifiedRequest, TheKeyTakesAllOfIt) {
  const UnifiedRequest all{
      .basic_kv = true, .continual_kv = false, .inference_kv = true, .ratio = 8, .rlm_context_threshold = 9};
  EXPECT_EQ(
      all.key().dump(),
      R"({"basic_kv":true,"continual_kv":false,"inference_kv":true,"ratio":8.0,"rlm_context_threshold":9})");
  EXPECT_EQ(
      UnifiedRequest{}.key().dump(),
      R"({"basic_kv":null,"continual_kv":null,"inference_kv":null,"ratio":null,"rlm_context_threshold":null})");
}

}  // namespace
}  // namespace pmt::pipeline
