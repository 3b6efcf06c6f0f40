#include "lab/recorded_trace.h"

#include <filesystem>
#include <fstream>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::lab {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A trace of our own: two conversations under one system text (blocks 1 2), one of two turns and one of one, a third
// request there, and somebody who shares nothing.
constexpr const char* kTrace =
    R"({"timestamp": 0, "input_length": 1100, "output_length": 30, "hash_ids": [1, 2, 3]}
{"timestamp": 500, "input_length": 1600, "output_length": 5, "hash_ids": [1, 2, 10, 11]}
{"timestamp": 500, "input_length": 100, "output_length": 7, "hash_ids": [50]}
{"timestamp": 2000, "input_length": 2600, "output_length": 9, "hash_ids": [1, 2, 10, 12, 13, 14]}
)";

std::string text_of_block(std::uint64_t hash, std::int64_t tokens) {
  return fmt::format("[{} {}]", hash, tokens);
}

std::vector<RecordedRequest> trace() {
  auto parsed = parse_recorded(kTrace);
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed ? *parsed : std::vector<RecordedRequest>();
}

std::vector<std::string> shown(const json& messages) {
  std::vector<std::string> out;
  for (const json& message : messages)
    out.push_back(message.at("role").get<std::string>() + ": " + message.at("content").get<std::string>());
  return out;
}

TEST(RecordedTrace, IsReadLineByLine) {
  const auto requests = trace();
  ASSERT_EQ(requests.size(), 4U);
  EXPECT_DOUBLE_EQ(requests[3].at_s, 2);
  EXPECT_EQ(requests[3].prompt_tokens, 2600);
  EXPECT_EQ(requests[3].answer_tokens, 9);
  EXPECT_THAT(requests[1].blocks, ElementsAre(1U, 2U, 10U, 11U));
}

TEST(RecordedTrace, WhatIsNoTraceNamesItsLine) {
  const std::string good = R"({"timestamp": 5, "input_length": 512, "output_length": 0, "hash_ids": [1]})"
                           "\n";
  ASSERT_TRUE(parse_recorded(good));
  ASSERT_TRUE(parse_recorded(""));
  for (const char* bad :
       {"{", "[]", R"({"timestamp": 5, "input_length": 513, "output_length": 0, "hash_ids": [1]})",
        R"({"timestamp": 5, "input_length": 512, "output_length": 0, "hash_ids": [1, 2]})",
        R"({"timestamp": 5, "input_length": 0, "output_length": 0, "hash_ids": []})",
        R"({"timestamp": 5, "input_length": 9, "output_length": 0, "hash_ids": ["a"]})",
        R"({"timestamp": 5, "input_length": 9, "output_length": 0, "hash_ids": [-1]})",
        R"({"timestamp": 5, "input_length": 9, "hash_ids": [1]})",
        R"({"timestamp": "x", "input_length": 9, "output_length": 0, "hash_ids": [1]})",
        R"({"timestamp": 4, "input_length": 9, "output_length": 0, "hash_ids": [1]})"}) {
    const auto parsed = parse_recorded(good + bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_THAT(parsed.error().message, HasSubstr("line 2")) << bad;
  }
}

TEST(RecordedTrace, PromptsAreCutWhereTheyPart) {
  const auto requests = trace();
  auto more = requests;
  more.push_back({.at_s = 3, .prompt_tokens = 1500, .answer_tokens = 1, .blocks = {1, 2, 20}});
  const RecordedPrompts prompts(more, {.text = text_of_block});
  EXPECT_THAT(shown(prompts.messages(more[0])), ElementsAre("system: [1 512][2 512]", "user: [3 76]"));
  // The first turn of a conversation and its next: what they share is the same messages.
  EXPECT_THAT(shown(prompts.messages(more[1])),
              ElementsAre("system: [1 512][2 512]", "user: [10 512]", "assistant: Go on.", "user: [11 64]"));
  EXPECT_THAT(shown(prompts.messages(more[3])),
              ElementsAre("system: [1 512][2 512]", "user: [10 512]", "assistant: Go on.",
                          "user: [12 512][13 512][14 40]"));
  EXPECT_THAT(shown(prompts.messages(more[2])), ElementsAre("user: [50 100]"));
  EXPECT_EQ(prompts.conversation_of(more[1]), prompts.conversation_of(more[3]));
  EXPECT_NE(prompts.conversation_of(more[0]), prompts.conversation_of(more[1]));
  EXPECT_NE(prompts.conversation_of(more[2]), prompts.conversation_of(more[1]));
}

TEST(RecordedTrace, TwoWaysAreNoSystemTextAndTurnsAlternate) {
  std::vector<RecordedRequest> turns;
  turns.push_back({.at_s = 0, .prompt_tokens = 600, .answer_tokens = 1, .blocks = {1, 2}});
  turns.push_back({.at_s = 1, .prompt_tokens = 1100, .answer_tokens = 1, .blocks = {1, 3, 4}});
  turns.push_back({.at_s = 2, .prompt_tokens = 1600, .answer_tokens = 1, .blocks = {1, 3, 5, 6}});
  const RecordedPrompts prompts(turns, {.text = text_of_block});
  EXPECT_THAT(shown(prompts.messages(turns[0])),
              ElementsAre("user: [1 512]", "assistant: Go on.", "user: [2 88]"));
  EXPECT_THAT(shown(prompts.messages(turns[1])),
              ElementsAre("user: [1 512]", "assistant: [3 512]", "user: [4 76]"));
  EXPECT_THAT(shown(prompts.messages(turns[2])),
              ElementsAre("user: [1 512]", "assistant: [3 512]", "user: [5 512][6 64]"));
}

TEST(RecordedTrace, LengthsAreScaledAndNeverNothing) {
  const auto requests = trace();
  const RecordedPrompts prompts(requests, {.scale = 1.0 / 32, .text = text_of_block});
  EXPECT_EQ(shown(prompts.messages(requests[0])).back(), "user: [3 2]");
  EXPECT_EQ(prompts.scaled(1), 1);
  EXPECT_EQ(prompts.scaled(512), 16);
}

TEST(RecordedTrace, ASampleTakesAllThatShareABeginningOrNone) {
  std::vector<RecordedRequest> all;
  for (std::uint64_t i = 0; i < 300; ++i)
    all.push_back({.at_s = static_cast<double>(i),
                   .prompt_tokens = 600,
                   .answer_tokens = 1,
                   .blocks = {i % 60, 1000 + i}});
  all[7].prompt_tokens = 100'000;
  const SampleOptions options{.requests = 50, .prompt_tokens_max = 2000, .seed = 3};
  const auto sample = sample_recorded(all, options);
  ASSERT_EQ(sample.size(), 50U);
  std::map<std::uint64_t, int> of_first;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    ++of_first[sample[i].blocks[0]];
    EXPECT_LE(sample[i].prompt_tokens, 2000);
    if (i > 0) EXPECT_LT(sample[i - 1].at_s, sample[i].at_s);
  }
  EXPECT_LE(of_first.size(), 11U) << "some 5 of each, and not one of each of 50";
  const auto again = sample_recorded(all, options);
  ASSERT_EQ(again.size(), sample.size());
  for (std::size_t i = 0; i < sample.size(); ++i) EXPECT_EQ(again[i].blocks, sample[i].blocks);
  EXPECT_EQ(sample_recorded(all, {.requests = 9999}).size(), 300U);
}

TEST(RecordedTrace, TheFirstOfTheNamesThatIsThereIsRead) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "recorded_trace_test";
  std::filesystem::create_directories(folder / "mooncake_traces");
  const auto none = read_recorded(folder.string(), {"toolagent"});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, base::Code::kNotFound);
  EXPECT_THAT(none.error().message, HasSubstr("toolagent"));
  std::ofstream(folder / "mooncake_traces/conversation_trace.jsonl") << kTrace;
  const auto read = read_recorded(folder.string(), {"toolagent", "conversation"});
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->file, "mooncake_traces/conversation_trace.jsonl");
  EXPECT_EQ(read->requests.size(), 4U);
}

}  // namespace
}  // namespace pmt::lab
