// What a provider's prompt cache did, in the words of each API: the same figures, whichever words the provider has.
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/json/render.h"
#include "api/json/render_parts.h"
#include "api/messages/message_writer.h"
#include "api/responses/response_object.h"

namespace pmt::api {
namespace {

using nlohmann::json;

llm::Usage deepseek() {
  return {.prompt_tokens = 100,
          .completion_tokens = 20,
          .details = R"("prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36)",
          .cached_prompt_tokens = 64,
          .cache_written_tokens = 30,
          .reasoning_tokens = 12};
}

json chat_usage(const llm::Usage& usage, const llm::Report& report = {}) {
  std::string out;
  append_usage(out, usage, report);
  return json::parse(out);
}

TEST(PromptCacheWords, ChatHasOpenAisBesideTheProvidersOwn) {
  const json usage = chat_usage(deepseek());
  EXPECT_EQ(usage.at("prompt_tokens"), 100);
  EXPECT_EQ(usage.at("prompt_tokens_details"), json({{"cached_tokens", 64}, {"cache_write_tokens", 30}}));
  EXPECT_EQ(usage.at("completion_tokens_details"), json({{"reasoning_tokens", 12}}));
  EXPECT_EQ(usage.at("prompt_cache_hit_tokens"), 64) << "as it was written";
}

TEST(PromptCacheWords, WhatStandsInTheDetailsStandsOnce) {
  llm::Usage usage{.prompt_tokens = 100,
                   .details = R"("prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0})",
                   .cached_prompt_tokens = 64};
  std::string out;
  append_usage(out, usage, {});
  EXPECT_EQ(out.find("prompt_tokens_details"), out.rfind("prompt_tokens_details"));
  EXPECT_EQ(json::parse(out).at("prompt_tokens_details").at("audio_tokens"), 0);
  usage = {.prompt_tokens = 100};
  EXPECT_FALSE(chat_usage(usage).contains("prompt_tokens_details")) << "nobody spoke of a cache";
}

TEST(PromptCacheWords, MessagesCountsAPromptInThreeParts) {
  const auto writer = make_message_writer({.id = "msg_1", .request_id = "r"});
  writer->add(llm::Started{.model = "p/m", .created_unix_s = 1, .cache = {}});
  writer->add(llm::Delta{.choice = 0, .text = "so", .logprobs = {}});
  writer->add(llm::ChoiceEnd{});
  llm::Done done{.usage = deepseek(), .report = {}};
  const json usage = json::parse(writer->finish(done)).at("usage");
  EXPECT_EQ(usage.at("input_tokens"), 6);
  EXPECT_EQ(usage.at("cache_creation_input_tokens"), 30);
  EXPECT_EQ(usage.at("cache_read_input_tokens"), 64);
  EXPECT_EQ(usage.at("output_tokens"), 20);
}

TEST(PromptCacheWords, ResponsesHasThemInItsDetails) {
  ResponseShape shape;
  shape.id_stem = "1";
  ResponseObject response(std::move(shape));
  response.start({.model = "p/m", .created_unix_s = 1, .cache = {}});
  llm::Done done{.usage = deepseek(), .report = {}};
  response.finish(done, 2);
  const json usage = json::parse(response.json()).at("usage");
  EXPECT_EQ(usage.at("input_tokens"), 100);
  EXPECT_EQ(usage.at("input_tokens_details"), json({{"cached_tokens", 64}, {"cache_write_tokens", 30}}));
  EXPECT_EQ(usage.at("output_tokens_details").at("reasoning_tokens"), 12);
}

TEST(PromptCacheWords, AModelOfOursReusesItsOwnPrefixes) {
  llm::Report report;
  report.kv = llm::KvReport{.prefix_tokens_reused = 7};
  EXPECT_EQ(chat_usage({.prompt_tokens = 9}, report).at("prompt_tokens_details"),
            json({{"cached_tokens", 7}}));
}

}  // namespace
}  // namespace pmt::api
