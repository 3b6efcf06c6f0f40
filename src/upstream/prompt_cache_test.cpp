#include "upstream/prompt_cache.h"

#include <map>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/json_text.h"
#include "upstream/request_json.h"

namespace pmt::upstream {
namespace {

using nlohmann::json;

const json kEphemeral = {{"type", "ephemeral"}};

llm::Message said(const char* role, const char* text) {
  llm::Message message;
  message.role = role;
  message.content = text;
  return message;
}

llm::Request conversation(const std::string& body = "") {
  llm::Request request;
  request.tenant = "team";
  request.messages = {said("system", "You code."), said("user", "Mend it."), said("assistant", "Done."),
                      said("user", "Again.")};
  if (body.empty()) return request;
  auto sent = std::make_shared<llm::SentBody>();
  sent->text = body;
  for (base::JsonMember& member : base::members_of(sent->text))
    sent->members.push_back({std::move(member), false});
  request.sent = std::move(sent);
  return request;
}

RemoteOptions remote() {
  RemoteOptions options;
  options.model = "own";
  return options;
}

std::string sent_with(llm::Request request, PromptCacheOptions options) {
  const std::string key = prompt_cache_key(request);
  return request_body(with_prompt_cache_help(std::move(request), options, remote(), key), remote(), false);
}

constexpr PromptCacheOptions kKey{.key = true}, kBreakpoints{.breakpoints = true};

llm::Request question_on(const std::string& text, const std::string& asked) {
  llm::Request request;
  request.tenant = "team";
  request.messages = {said("user", (text + asked).c_str())};
  return request;
}

/// Different in every block.
std::string long_text(int seed, std::size_t bytes) {
  std::string out;
  for (int i = 0; out.size() < bytes; ++i) out += std::to_string(seed) + " line " + std::to_string(i) + "\n";
  return out;
}

TEST(PromptCacheKeys, QuestionsOnOneTextHaveOneKey) {
  const base::FakeClock clock;
  PromptCacheKeys keys(clock, kKey);
  const std::string text = long_text(1, 20'000);
  const std::string first = keys.key_for(question_on(text, "Who is it?"));
  EXPECT_EQ(first, prompt_cache_key(question_on(text, "Who is it?")));
  EXPECT_EQ(keys.key_for(question_on(text, "Where is it?")), first);
  EXPECT_EQ(keys.key_for(question_on(text, "Who is it?")), first);
  EXPECT_NE(keys.key_for(question_on(long_text(2, 20'000), "Who is it?")), first);
  llm::Request others = question_on(text, "Where is it?");
  others.tenant = "others";
  EXPECT_NE(keys.key_for(others), first) << "tenants share nothing";
}

TEST(PromptCacheKeys, ALaterTurnKeepsItsKey) {
  const base::FakeClock clock;
  PromptCacheKeys keys(clock, kKey);
  const std::string text = long_text(1, 8'000);
  const std::string first = keys.key_for(question_on(text, "Who is it?"));
  llm::Request later = question_on(text, "And where?");
  EXPECT_EQ(keys.key_for(later), first);
  later.messages.push_back(said("assistant", long_text(3, 30'000).c_str()));
  later.messages.push_back(said("user", "And now?"));
  EXPECT_EQ(keys.key_for(later), first) << "though most of it is new";
}

TEST(PromptCacheKeys, WhatIsLessThanHalfOfAPromptDoesntCount) {
  const base::FakeClock clock;
  PromptCacheKeys keys(clock, kKey);
  const std::string system = long_text(1, 4'000);
  const std::string first = keys.key_for(question_on(system, long_text(2, 6'000)));
  EXPECT_NE(keys.key_for(question_on(system, long_text(3, 6'000))), first);
}

TEST(PromptCacheKeys, SoManyRequestsAMinuteHaveOneKey) {
  base::FakeClock clock;
  PromptCacheKeys keys(clock, {.key = true, .key_requests = 6, .key_seconds = 60});
  const std::string system = long_text(1, 20'000);
  int task = 0;
  const auto key_of_next = [&] {
    return keys.key_for(question_on(system, "Task " + std::to_string(++task)));
  };
  std::map<std::string, int> sent;
  for (int i = 0; i < 9; ++i) ++sent[key_of_next()];
  EXPECT_EQ(sent.size(), 3U);
  for (const auto& [key, count] : sent) EXPECT_EQ(count, 3) << key << ": half of what it may have";
  clock.advance(std::chrono::seconds(61));
  EXPECT_TRUE(sent.contains(key_of_next())) << "a minute later there is room again";
}

TEST(PromptCacheKeys, AConversationKeepsItsKeyThoughItIsFull) {
  const base::FakeClock clock;
  PromptCacheKeys keys(clock, {.key = true, .key_requests = 4, .key_seconds = 60});
  const llm::Request request = question_on(long_text(1, 8'000), "Who is it?");
  const std::string first = keys.key_for(request);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(keys.key_for(request), first);
}

TEST(PromptCacheKeys, ForgetsTheOldest) {
  const base::FakeClock clock;
  PromptCacheKeys keys(clock, kKey, 64);
  const std::string text = long_text(1, 8'000);
  const std::string first = keys.key_for(question_on(text, "Who is it?"));
  for (int i = 2; i < 40; ++i) (void)keys.key_for(question_on(long_text(i, 8'000), "Who?"));
  EXPECT_NE(keys.key_for(question_on(text, "Where is it?")), first);
}

TEST(PromptCacheKey, IsTheConversations) {
  const llm::Request first = conversation();
  llm::Request later = conversation();
  later.messages.push_back(said("assistant", "Yes."));
  later.messages.push_back(said("user", "And now?"));
  later.id = "another";
  EXPECT_EQ(prompt_cache_key(first), prompt_cache_key(later));
  EXPECT_EQ(prompt_cache_key(first).size(), 40U) << "providers take 64";
  llm::Request other = conversation();
  other.tenant = "others";
  EXPECT_NE(prompt_cache_key(first), prompt_cache_key(other)) << "tenants share nothing";
  other = conversation();
  other.messages[1].content = "Mend that.";
  EXPECT_NE(prompt_cache_key(first), prompt_cache_key(other));
  other = conversation();
  other.messages[0].content = "You cod";
  other.messages[1].content = "e.Mend it.";
  EXPECT_NE(prompt_cache_key(first), prompt_cache_key(other)) << "where one ends counts";
}

TEST(PromptCacheKey, StandsBesideWhatTheCallerWrote) {
  const std::string key = prompt_cache_key(conversation());
  EXPECT_EQ(sent_with(conversation(R"({"model":"x", "z": 1.50,"messages":[]})"), kKey),
            R"({"model":"own", "z": 1.50,"messages":[],"prompt_cache_key":")" + key + "\"}");
  EXPECT_EQ(sent_with(conversation(R"({"prompt_cache_key":null,"model":"x"})"), kKey),
            R"({"prompt_cache_key":")" + key + R"(","model":"own"})");
  EXPECT_EQ(sent_with(conversation(R"({"prompt_cache_key":"mine","model":"x"})"), kKey),
            R"({"prompt_cache_key":"mine","model":"own"})")
      << "its caller knows better";
  EXPECT_EQ(json::parse(sent_with(conversation(), kKey)).at("prompt_cache_key"), key)
      << "of one that we composed";
  EXPECT_EQ(sent_with(conversation(R"({"model":"x"})"), {}), R"({"model":"own"})") << "off unless asked";
}

TEST(PromptCacheKey, ATextCompletionHasNone) {
  llm::Request request = conversation(R"({"model":"x","prompt":"a"})");
  request.endpoint = llm::Endpoint::kCompletions;
  EXPECT_EQ(sent_with(std::move(request), kKey), R"({"model":"own","prompt":"a"})");
}

TEST(CacheControl, StandsOnToolsSystemAndTheLastTurns) {
  const json body =
      json::parse(sent_with(conversation(R"({"model":"x","tools":[{"type":"function","function":{"name":"a"}},
      {"type":"function","function":{"name":"b"}}],"messages":[
      {"role":"system","content":"You code."},
      {"role":"user","content":"Mend it."},
      {"role":"assistant","content":null,"tool_calls":[{"id":"c"}]},
      {"role":"tool","tool_call_id":"c","content":"done"},
      {"role":"assistant","content":"Done."},
      {"role":"user","content":[{"type":"text","text":"See"},{"type":"image_url","image_url":{"url":"u"}}]}]})"),
                            kBreakpoints));
  EXPECT_FALSE(body.at("tools").at(0).contains("cache_control"));
  EXPECT_EQ(body.at("tools").at(1).at("cache_control"), kEphemeral);
  const json& messages = body.at("messages");
  EXPECT_EQ(messages.at(0).at("content"),
            json::array({{{"type", "text"}, {"text", "You code."}, {"cache_control", kEphemeral}}}));
  EXPECT_EQ(messages.at(1).at("content"), "Mend it.") << "two turns, and these are the last two";
  EXPECT_EQ(messages.at(2), json::parse(R"({"role":"assistant","content":null,"tool_calls":[{"id":"c"}]})"));
  EXPECT_EQ(messages.at(3).at("cache_control"), kEphemeral) << "of a tool's, the message";
  EXPECT_EQ(messages.at(3).at("content"), "done");
  EXPECT_EQ(messages.at(5).at("content").at(0), json::parse(R"({"type":"text","text":"See"})"));
  EXPECT_EQ(messages.at(5).at("content").at(1).at("cache_control"), kEphemeral);
}

TEST(CacheControl, NeverMoreThanFourAndNoneBesideTheCallers) {
  std::string messages = R"({"role":"developer","content":"a"},{"role":"system","content":"b"})";
  for (int i = 0; i < 30; ++i) messages += R"(,{"role":"user","content":"c"},{"role":"tool","content":"d"})";
  const std::string sent = sent_with(
      conversation(R"({"tools":[{"a":1}],"messages":[)" + messages + R"(],"model":"x"})"), kBreakpoints);
  int marks = 0;
  for (std::size_t at = sent.find("cache_control"); at != std::string::npos;
       at = sent.find("cache_control", at + 1))
    ++marks;
  EXPECT_EQ(marks, 4);
  const std::string own =
      R"({"messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]},{"role":"user","content":"b"}],"model":"own"})";
  EXPECT_EQ(sent_with(conversation(own), kBreakpoints), own);
  const json quoted = json::parse(sent_with(
      conversation(R"({"messages":[{"role":"user","content":"what is \"cache_control\"?"}],"model":"x"})"),
      kBreakpoints));
  EXPECT_EQ(quoted.at("messages").at(0).at("content").at(0).at("cache_control"), kEphemeral)
      << "who speaks of it has set none";
}

TEST(CacheControl, WhatCantHaveOneIsLeftAlone) {
  for (const char* body :
       {R"({"messages":[],"model":"own"})", R"({"messages":"x","tools":{},"model":"own"})",
        R"({"messages":[{"role":"user","content":""}],"tools":[],"model":"own"})",
        R"({"messages":[{"role":"user","content":[]}],"tools":[1],"model":"own"})",
        R"({"messages":[{"role":"user"},{"role":"assistant","content":"a"}],"model":"own"})",
        R"({"messages":[5],"model":"own"})"})
    EXPECT_EQ(json::parse(sent_with(conversation(body), kBreakpoints)), json::parse(body));
}

}  // namespace
}  // namespace pmt::upstream
