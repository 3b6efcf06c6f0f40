#include "response_cache/store/entry_codec.h"

#include "response_cache/store/entry_record.h"

#include <cmath>

#include <gtest/gtest.h>

namespace pmt::response_cache {
namespace {

using nlohmann::json;

Entry answer() {
  llm::Done done{.usage = {.prompt_tokens = 7, .completion_tokens = 3}, .report = {}};
  done.report.engine = {{"metadata", {{"domain", "sea"}}}};
  done.usage.total_tokens = 12;
  done.usage.cached_prompt_tokens = 4;
  done.usage.cache_written_tokens = 2;
  done.usage.reasoning_tokens = 1;
  done.usage.details = R"("cost":1.0e-4)";
  done.extra = R"("citations":["a"])";
  done.report.knowledge = llm::KnowledgeReport{.domains = {"acme"}, .slots_read = 4, .facts = {"acme/1"}};
  Entry entry;
  entry.value.content = RecordedAnswer{
      {llm::Started{.model = "m", .created_unix_s = 11, .cache = {}, .more = R"("system_fingerprint":"fp")"},
       llm::Delta{.choice = 0, .text = "", .logprobs = {}, .reasoning = "I think"},
       llm::Delta{.choice = 0,
                  .text = "né",
                  .logprobs = {{.token = "n", .logprob = -0.5F, .top = {{"n", -0.5F}, {"\xc3", -1.5F}}},
                               {.token = "\xc3", .logprob = -0.25F, .top = {}},
                               {.token = "x", .logprob = {}, .top = {}},
                               {.token = "y", .logprob = -INFINITY, .top = {}}},
                  .more = R"("reasoning_content":"so","n":12345678901234567890123)",
                  .choice_more = R"("logprobs":{"content":[]})"},
       llm::ChoiceEnd{.choice = 0,
                      .reason = llm::FinishReason::kToolCalls,
                      .tool_calls = {R"({"id":"a","function":{"name":"f"},"n":1.50})"},
                      .said = "end_turn",
                      .no_content = true,
                      .choice_more = R"("stop_reason":7)"},
       done}};
  entry.meta = {.tokens = 10,
                .ttl_s = 60,
                .name_space = "team",
                .model = "m",
                .tags = {"a", "b"},
                .usd = 0.25,
                .compute_s = 1.5,
                .stale_s = 9};
  entry.stored_unix_s = 1'700'000'000;
  return entry;
}

TEST(EntryCodecTest, AnAnswerRoundTrips) {
  const Key key = base::sha256("k");
  const Entry entry = answer();
  const json first = outside_json(key, entry);
  const auto read = read_outside(json::parse(first.dump()));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->key, key);
  Entry again;
  again.value = read->value;
  again.meta = read->meta;
  again.stored_unix_s = read->stored_unix_s;
  EXPECT_EQ(outside_json(key, again), first);
  const auto& events = std::get<RecordedAnswer>(read->value.content).events;
  ASSERT_EQ(events.size(), 5U);
  const auto& delta = std::get<llm::Delta>(events[2]);
  EXPECT_EQ(delta.logprobs[0].top[1].first, "\xc3") << "half a character stays what it is";
  EXPECT_EQ(delta.logprobs[2].logprob, std::nullopt) << "none, as before a prompt's first token";
  EXPECT_EQ(delta.logprobs[3].logprob, -INFINITY) << "impossible is not none";
  EXPECT_EQ(std::get<llm::Done>(events[4]).report.knowledge->facts, std::vector<std::string>{"acme/1"});
  EXPECT_EQ(read->meta.ttl_s, 60);
}

/// What an older server stored: calls and an upstream's members as trees.
TEST(EntryCodecTest, TheFirstVersionIsRead) {
  const json old = json::parse(R"({"events": [
      {"type": "started", "model": "m", "created": 11},
      {"type": "delta", "choice": 0, "text": "so"},
      {"type": "end", "choice": 0, "reason": "tool_calls", "tool_calls": [{"id": "a", "function": {"name": "f"}}]},
      {"type": "done", "prompt_tokens": 7, "completion_tokens": 3, "engine": null,
       "usage_details": {"cost": 2}, "extra": {"citations": ["x"]}}]})");
  const auto read = read_value(old);
  ASSERT_TRUE(read) << read.error().message;
  const auto& events = std::get<RecordedAnswer>(read->content).events;
  EXPECT_EQ(std::get<llm::ChoiceEnd>(events[2]).tool_calls,
            std::vector<std::string>{R"({"function":{"name":"f"},"id":"a"})"});
  EXPECT_EQ(std::get<llm::Done>(events[3]).usage.details, R"("cost":2)");
  EXPECT_EQ(std::get<llm::Done>(events[3]).extra, R"("citations":["x"])");
}

TEST(EntryCodecTest, AnyValueRoundTrips) {
  for (const char* text : {"null", "[1, 2.5, \"x\"]", "{\"a\": {\"b\": []}}"}) {
    Entry entry;
    entry.value.content = json::parse(text);
    const auto read = read_outside(outside_json(base::sha256("v"), entry));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(std::get<json>(read->value.content), json::parse(text));
    EXPECT_FALSE(read->meta.ttl_s);
  }
}

TEST(EntryCodecTest, WhatIsWrongIsNamed) {
  const json good = outside_json(base::sha256("k"), answer());
  const struct {
    const char* patch;
    const char* says;
  } cases[] = {
      {R"({"key": "abc"})", "key must be 64 hex digits"},
      {R"({"key": 3})", "key must be a string"},
      {R"({"meta": []})", "meta: must be an object"},
      {R"({"meta": {"tokens": -1}})", "tokens must be a whole number"},
      {R"({"meta": {"usd": "x"}})", "usd must be a number"},
      {R"({"meta": {"tags": [1]}})", "tags must be strings"},
      {R"({"value": 1})", "either"},
      {R"({"events": null})", "either"},
      {R"({"events": []})", "must end with done"},
      {R"({"events": [{"type": "delta"}]})", "one started"},
      {R"({"events": [{"type": "started"}, {"type": "end", "reason": "bored"}]})", "reason is none"},
      {R"({"events": [{"type": "started"}, {"type": "delta", "logprobs": [["a"]]}]})", "[token, number]"},
      {R"({"events": [{"type": "started"}, {"type": "done"}, {"type": "done"}]})", "one started"},
      {R"({"events": [{"type": "started"}]})", "must end with done"},
      {R"({"events": [{"type": "started"}, {"type": "delta", "choice": 100000}]})", "choice is too large"},
      {R"({"events": [{"type": "started"}, {"type": "end", "reason": "stop", "tool_calls": [5]}]})",
       "tool_calls must be"},
      {R"({"events": [{"type": "started"}, {"type": "end", "reason": "stop", "tool_calls": ["{"]}]})",
       "tool_calls must be"},
      {R"({"events": [{"type": "started", "more": "\"a\":1},{\"b\":2"}]})", "more must be members"},
      {R"({"events": [{"type": "started"}, {"type": "delta", "more": "a"}]})", "more must be members"},
      {R"({"version": 3})", "its version is 3"},
      {R"({"events": [{"type": "started"}, {"type": "done", "engine": "text"}]})",
       "engine must be an object"},
      {R"({"events": [{"type": "started"}, {"type": "done", "prompt_tokens": 9223372036854775807}]})",
       "prompt_tokens must be"},
  };
  for (const auto& c : cases) {
    json bad = good;
    bad.merge_patch(json::parse(c.patch));
    const auto read = read_outside(bad);
    ASSERT_FALSE(read) << c.patch;
    EXPECT_NE(read.error().message.find(c.says), std::string::npos)
        << c.patch << ": " << read.error().message;
  }
  EXPECT_FALSE(read_outside(json(3)));
}

/// Depth: what a request may hold, and an upstream may say, comes back from a disk; a record that is deeper
/// is none.
TEST(EntryCodecTest, ARecordsDepthHasALimit) {
  const auto nested = [](int levels) {
    json out;
    for (int i = 0; i < levels; ++i) out = json::array({std::move(out)});
    return out;
  };
  const auto comes_back = [](Value value) {
    Entry entry;
    entry.value = std::move(value);
    return read_record(base::sha256("k"), record_of(entry)).has_value();
  };
  EXPECT_TRUE(comes_back({nested(base::kJsonDepthMax)}));
  EXPECT_FALSE(comes_back({nested(100)}));
  EXPECT_FALSE(comes_back({nested(10'000)}));
  auto said = std::get<RecordedAnswer>(answer().value.content);
  std::get<llm::Done>(said.events.back()).extra = "\"x\":" + nested(base::kJsonDepthMax - 1).dump();
  EXPECT_TRUE(comes_back({said}));
}

}  // namespace
}  // namespace pmt::response_cache
