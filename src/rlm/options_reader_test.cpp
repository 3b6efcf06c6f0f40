#include "rlm/options_reader.h"

#include <gtest/gtest.h>

#include <string>

#include "rlm/rlm_request.h"

namespace pmt::rlm {
namespace {

base::Status read(const std::string& json, llm::EngineOptions& into) {
  simdjson::dom::parser parser;
  return base::read_member(options_reader(), parser.parse(json).value_unsafe(), into);
}

RlmRequest asked(const std::string& json) {
  llm::EngineOptions options;
  const auto status = read(json, options);
  EXPECT_TRUE(status) << status.error().message;
  return options.get<RlmRequest>();
}

TEST(RlmOptionsReader, ReadsEveryMember) {
  EXPECT_EQ(asked(R"({"context": ["a", "b"], "max_depth": 2, "max_iterations": 30.0,
                      "enable_kv_cache_compression": false, "enable_speculative_decoding": true})"),
            (RlmRequest{.context = {"a", "b"},
                        .depth_max = 2,
                        .iterations_max = 30,
                        .kv_compression = false,
                        .speculation = true}));
  EXPECT_EQ(asked(R"({"context": "one text", "max_depth": null})"), RlmRequest{.context = {"one text"}});
  EXPECT_EQ(asked("{}"), RlmRequest{});
  EXPECT_EQ(asked("null"), RlmRequest{});
}

TEST(RlmOptionsReader, RefusesNamingThePath) {
  const struct {
    const char *json, *field, *says;
  } bad[] = {
      {"3", "rlm", "must be an object, not 3"},
      {R"({"context": 5})", "rlm.context", "must be an array, not 5"},
      {R"({"context": ["a", 5]})", "rlm.context[1]", "must be a string, not 5"},
      {R"({"max_depth": 0})", "rlm.max_depth", "must be an integer between 1 and 16, not 0"},
      {R"({"max_iterations": "many"})", "rlm.max_iterations",
       "must be an integer between 1 and 100, not the string \"many\""},
      {R"({"enable_speculative_decoding": 1})", "rlm.enable_speculative_decoding",
       "must be true or false, not 1"},
      {R"({"depth": 1})", "rlm.depth",
       "is not a setting; there are context, max_depth, max_iterations, enable_kv_cache_compression, "
       "enable_speculative_decoding, custom_tools, custom_sub_tools, session"},
      {R"({"session": 5})", "rlm.session", "must be a string, not 5"},
      {R"({"session": ""})", "rlm.session",
       "must be a name of 1 to 64 letters, digits, '-', '_' and '.', with no '.' first"},
      {R"({"session": "a/b"})", "rlm.session",
       "must be a name of 1 to 64 letters, digits, '-', '_' and '.', with no '.' first"},
      {R"({"session": ".."})", "rlm.session",
       "must be a name of 1 to 64 letters, digits, '-', '_' and '.', with no '.' first"},
      {R"({"custom_tools": ["f"]})", "rlm.custom_tools",
       "must be an object of tools by their names, not an array"},
      {R"({"custom_tools": {"llm_query": 1}})", "rlm.custom_tools.llm_query",
       "must have another name: the REPL has its own of this one"},
      {R"({"custom_tools": {"lambda": 1}})", "rlm.custom_tools.lambda",
       "must be named like a Python variable: letters, digits and _, no leading _, at most 64"},
      {R"({"custom_sub_tools": {"a b": 1}})", "rlm.custom_sub_tools.a b",
       "must be named like a Python variable: letters, digits and _, no leading _, at most 64"},
      {R"({"custom_tools": {"f": {"python": 5}}})", "rlm.custom_tools.f.python", "must be a string, not 5"},
      {R"({"custom_tools": {"f": {"python": "x", "tool": 1}}})", "rlm.custom_tools.f",
       "must have 'tool', a value, or 'python', a text that defines it, not both"},
  };
  for (const auto& [json, field, says] : bad) {
    llm::EngineOptions options;
    const auto status = read(json, options);
    ASSERT_FALSE(status) << json;
    EXPECT_EQ(status.error().field, field);
    EXPECT_EQ(status.error().message, says);
    EXPECT_EQ(options, llm::EngineOptions{}) << json;
  }
}

TEST(RlmOptionsReader, ToolsAreValuesOrPython) {
  const RlmRequest read = asked(R"({"custom_tools": {
      "rates": {"EUR": 1.5, "on": true, "off": false, "none": null, "many": [1, "a\"b\n"]},
      "limit": {"tool": 7, "description": "the limit"},
      "double": {"python": "def double(x):\n  return 2 * x", "description": "twice x"}},
      "custom_sub_tools": {}})");
  EXPECT_EQ(read.tools,
            (CustomTools{
                {"rates",
                 R"(rates = {"EUR": 1.5, "on": True, "off": False, "none": None, "many": [1, "a\"b\n", ], })",
                 "a dict"},
                {"limit", "limit = 7", "the limit"},
                {"double", "def double(x):\n  return 2 * x\ndouble = double\n", "twice x"}}));
  EXPECT_EQ(read.sub_tools, CustomTools{});
  EXPECT_FALSE(asked("{}").sub_tools);
  EXPECT_NE(read.key(), RlmRequest{}.key());
}

/// The bytes that entries on disk are keyed by.
TEST(RlmRequest, TheKeyTakesAllOfIt) {
  const RlmRequest all{
      .context = {"a"}, .depth_max = 2, .iterations_max = 3, .kv_compression = false, .speculation = true};
  EXPECT_EQ(
      all.key().dump(),
      R"({"context":["a"],"depth_max":2,"iterations_max":3,"kv_compression":false,"speculation":true})");
  EXPECT_EQ(
      RlmRequest{}.key().dump(),
      R"({"context":[],"depth_max":null,"iterations_max":null,"kv_compression":null,"speculation":null})");
}

TEST(RlmRequest, GivenContextIsThatOfTheOptions) {
  llm::Request request;
  EXPECT_TRUE(given_context(request).empty());
  request.options.set(RlmRequest{.context = {"a", "b"}});
  ASSERT_EQ(given_context(request).size(), 2U);
  EXPECT_EQ(given_context(request)[1], "b");
}

}  // namespace
}  // namespace pmt::rlm
