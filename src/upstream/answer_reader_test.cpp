#include "upstream/answer_reader.h"

#include <random>

#include <gmock/gmock.h>

#include "base/json.h"
#include "llm/sinks.h"
#include "upstream/upstream_error.h"

namespace pmt::upstream {
namespace {

using json = nlohmann::json;
using llm::Event;

AnswerReader reader(llm::Endpoint endpoint = llm::Endpoint::kChat) {
  return AnswerReader({.endpoint = endpoint, .model = "p/m", .now_unix_s = 9});
}

template <class T>
std::vector<T> all_of(const std::vector<Event>& events) {
  std::vector<T> out;
  for (const Event& event : events) {
    if (const auto* e = std::get_if<T>(&event)) out.push_back(*e);
  }
  return out;
}

TEST(AnswerReader, ReadsAStream) {
  AnswerReader r = reader();
  std::vector<Event> events;
  for (
      const char* chunk :
      {R"({"id":"1","created":5,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]})",
       R"({"created":5,"choices":[{"index":0,"delta":{"content":"Pa"},"finish_reason":null}]})",
       R"({"choices":[{"index":0,"delta":{"content":"ris"}}]})",
       R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})",
       R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}})", "[DONE]"}) {
    ASSERT_TRUE(r.chunk(chunk, events)) << chunk;
  }
  ASSERT_EQ(events.size(), 5U);
  EXPECT_EQ(std::get<llm::Started>(events[0]).model, "p/m");
  EXPECT_EQ(std::get<llm::Started>(events[0]).created_unix_s, 5);
  EXPECT_EQ(llm::text_of(events), "Paris");
  EXPECT_EQ(std::get<llm::ChoiceEnd>(events[3]).reason, llm::FinishReason::kStop);
  const auto& done = std::get<llm::Done>(events[4]);
  EXPECT_EQ(done.usage.prompt_tokens, 7);
  EXPECT_EQ(done.usage.completion_tokens, 2);
  EXPECT_EQ(done.extra + done.usage.details, "");
}

TEST(AnswerReader, SonarsCitationsStay) {
  AnswerReader r = reader();
  std::vector<Event> events;
  ASSERT_TRUE(r.whole(
      R"({"id":"x","model":"sonar","object":"chat.completion","citations":["https://a.example"],
          "search_results":[{"title":"A","url":"https://a.example","date":null}],
          "choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"B [1]"}}],
          "usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"search_context_size":"low"}})",
      events));
  const auto& done = std::get<llm::Done>(events.back());
  EXPECT_EQ(done.extra, R"("citations":["https://a.example"],)"
                        R"("search_results":[{"title":"A","url":"https://a.example","date":null}])");
  EXPECT_EQ(done.usage.details, R"("search_context_size":"low")");
  EXPECT_EQ(std::get<llm::Started>(events.front()).created_unix_s, 9) << "ours, as it says none";
}

TEST(AnswerReader, AnAnswerMayBeAsLargeAsTheCallerOfThisAllows) {
  AnswerReader r = reader();
  const std::string text(base::kJsonBytesMax + 1, 'x');
  std::vector<Event> events;
  ASSERT_TRUE(
      r.whole(R"({"choices":[{"message":{"content":")" + text + R"("},"finish_reason":"stop"}]})", events))
      << "remote_completer.h's answer_bytes_max is the only limit of a whole answer";
  EXPECT_EQ(llm::text_of(events).size(), text.size());
}

TEST(AnswerReader, PutsToolCallsTogether) {
  AnswerReader r = reader();
  std::vector<Event> events;
  for (
      const char* chunk :
      {R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"add","arguments":""}}]}}]})",
       R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}}]})",
       R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"c2","function":{"name":"sub","arguments":"{}"}},{"index":0,"function":{"arguments":"1}"}}]}}]})",
       R"({"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]})", "[DONE]"}) {
    ASSERT_TRUE(r.chunk(chunk, events)) << chunk;
  }
  const auto ends = all_of<llm::ChoiceEnd>(events);
  ASSERT_EQ(ends.size(), 1U);
  EXPECT_EQ(ends[0].reason, llm::FinishReason::kToolCalls);
  EXPECT_EQ(ends[0].tool_calls,
            (std::vector<std::string>{
                R"({"id":"c1","type":"function","function":{"name":"add","arguments":"{\"a\":1}"}})",
                R"({"id":"c2","type":"function","function":{"name":"sub","arguments":"{}"}})"}));
  EXPECT_TRUE(ends[0].no_content);
}

TEST(AnswerReader, WhatHasNoMemberGoesOnAsItWasWritten) {
  AnswerReader r = reader();
  std::vector<Event> events;
  ASSERT_TRUE(r.whole(
      R"({"id":"x","system_fingerprint":"fp_1","service_tier":null,"x_list":[1.50],"choices":[{"index":0,
          "message":{"role":"assistant","content":null,"refusal":"No.","reasoning_content":"so \u00e9","annotations":[],
            "audio":{"id":"a","expires_at":12345678901234567890123}},
          "stop_reason":7,"logprobs":{"content":[{"token":"N","logprob":-0.10,"bytes":[78],"top_logprobs":[],"id":5}]},
          "finish_reason":"end_turn"}],
          "usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":9,"cost":1.0e-4}})",
      events));
  EXPECT_EQ(std::get<llm::Started>(events[0]).more, R"("system_fingerprint":"fp_1","service_tier":null)");
  const auto delta = all_of<llm::Delta>(events).at(0);
  EXPECT_EQ(delta.more, R"("refusal":"No.","reasoning_content":"so \u00e9","annotations":[],)"
                        "\"audio\":{\"id\":\"a\",\"expires_at\":12345678901234567890123}");
  EXPECT_EQ(
      delta.choice_more,
      R"("logprobs":{"content":[{"token":"N","logprob":-0.10,"bytes":[78],"top_logprobs":[],"id":5}]})");
  EXPECT_EQ(delta.text, "");
  const auto end = all_of<llm::ChoiceEnd>(events).at(0);
  EXPECT_EQ(end.choice_more, R"("stop_reason":7,"native_finish_reason":"end_turn")");
  EXPECT_EQ(end.reason, llm::FinishReason::kStop);
  EXPECT_TRUE(end.no_content);
  const auto& done = std::get<llm::Done>(events.back());
  EXPECT_EQ(done.extra, R"("x_list":[1.50])");
  EXPECT_EQ(done.usage.total_tokens, 9);
  EXPECT_EQ(done.usage.details, R"("cost":1.0e-4)");
}

TEST(AnswerReader, ANullAloneGoesOnWithWhatComesNext) {
  AnswerReader r = reader();
  std::vector<Event> events;
  for (
      const char* chunk :
      {R"({"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning_content":null},"stop_reason":null}]})",
       R"({"choices":[{"index":0,"delta":{"content":"42"}}]})",
       R"({"choices":[{"index":0,"delta":{"x":null}}]})",
       R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})", "[DONE]"}) {
    ASSERT_TRUE(r.chunk(chunk, events)) << chunk;
  }
  const auto deltas = all_of<llm::Delta>(events);
  ASSERT_EQ(deltas.size(), 2U);
  EXPECT_EQ(deltas[0].more, R"("reasoning_content":null)");
  EXPECT_EQ(deltas[0].choice_more, R"("stop_reason":null)");
  EXPECT_EQ(deltas[1].more, R"("x":null)");
}

TEST(AnswerReader, WhatIsReadByTypeKeepsItsType) {
  const auto end = [](const std::string& choice) {
    AnswerReader r = reader();
    std::vector<Event> events;
    EXPECT_TRUE(r.whole(R"({"choices":[{)" + choice + "}]}", events)) << choice;
    return std::pair(llm::text_of(events) + all_of<llm::Delta>(events).at(0).more,
                     all_of<llm::ChoiceEnd>(events).at(0));
  };
  EXPECT_EQ(end(R"("message":{"content":"x"},"finish_reason":"MAX_TOKENS")").second.reason,
            llm::FinishReason::kLength);
  EXPECT_EQ(end(R"("message":{"content":"x"},"finish_reason":"function_call")").second.said, "function_call");
  EXPECT_EQ(
      end(R"("message":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},"finish_reason":"stop")")
          .first,
      "ab");
  EXPECT_EQ(
      end(R"("message":{"content":[{"type":"thinking","thinking":[]},{"type":"text","text":"b"}]},"finish_reason":"stop")")
          .first,
      R"(b"content_parts":[{"type":"thinking","thinking":[]},{"type":"text","text":"b"}])");
}

TEST(AnswerReader, AStreamsOwnMembersComeWithTheirPieces) {
  AnswerReader r = reader();
  std::vector<Event> events;
  for (
      const char* chunk :
      {R"({"provider":"a","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null}}]})",
       R"({"provider":"a","choices":[{"index":0,"delta":{"reasoning_content":"I "},"token_ids":[1]}]})",
       R"({"provider":"a","choices":[{"index":0,"delta":{"reasoning_content":"think"},"token_ids":[2]}]})",
       R"({"type":"ping"})",
       R"({"provider":"b","citations":["x"],"choices":[{"index":0,"delta":{"content":"42"}}]})",
       R"({"provider":"b","citations":["x","y"],"choices":[{"index":0,"delta":{},"finish_reason":"error"}]})",
       R"({"object":"chat.completion.chunk","usage":{"prompt_tokens":1,"completion_tokens":1}})", "[DONE]"}) {
    ASSERT_TRUE(r.chunk(chunk, events)) << chunk;
  }
  const auto deltas = all_of<llm::Delta>(events);
  ASSERT_EQ(deltas.size(), 3U);
  EXPECT_EQ(deltas[0].more, R"("reasoning_content":"I ")");
  EXPECT_EQ(deltas[1].choice_more, R"("token_ids":[2])");
  EXPECT_EQ(deltas[2].text, "42");
  const auto& done = std::get<llm::Done>(events.back());
  EXPECT_EQ(done.extra, R"("provider":"b","citations":["x","y"])") << "the last word counts";
  EXPECT_EQ(done.usage.completion_tokens, 1);
  EXPECT_TRUE(done.transient) << "another try may end well";
}

TEST(AnswerReader, ReadsLogprobsOfBothShapes) {
  AnswerReader chat = reader();
  std::vector<Event> events;
  ASSERT_TRUE(chat.whole(
      R"({"choices":[{"index":0,"message":{"content":"é"},"finish_reason":"length","logprobs":{"content":[
          {"token":"é","logprob":-0.5,"bytes":[195,169],"top_logprobs":[{"token":"e","logprob":-1.5,"bytes":null}]}]}}]})",
      events));
  const auto deltas = all_of<llm::Delta>(events);
  ASSERT_EQ(deltas.size(), 1U);
  ASSERT_EQ(deltas[0].logprobs.size(), 1U);
  EXPECT_EQ(deltas[0].logprobs[0].token, "\xc3\xa9");
  EXPECT_EQ(deltas[0].logprobs[0].logprob, -0.5F);
  EXPECT_EQ(deltas[0].logprobs[0].top, (std::vector<std::pair<std::string, float>>{{"e", -1.5F}}));
  EXPECT_EQ(all_of<llm::ChoiceEnd>(events)[0].reason, llm::FinishReason::kLength);

  AnswerReader text = reader(llm::Endpoint::kCompletions);
  events.clear();
  ASSERT_TRUE(text.whole(
      R"({"choices":[{"index":0,"text":"ab","finish_reason":"stop","logprobs":{"tokens":["a","b"],
          "token_logprobs":[null,-2],"top_logprobs":[null,{"b":-2,"c":-1}],"text_offset":[0,1]}}]})",
      events));
  const auto pieces = all_of<llm::Delta>(events);
  ASSERT_EQ(pieces[0].logprobs.size(), 2U);
  EXPECT_EQ(pieces[0].logprobs[0].logprob, std::nullopt) << "nothing stands before it";
  EXPECT_EQ(pieces[0].logprobs[1].logprob, -2.0F);
  EXPECT_EQ(pieces[0].logprobs[1].top.front().first, "c") << "best first";
}

TEST(AnswerReader, WhatIsNoAnswerIsAnError) {
  for (
      const char* body :
      {"",
       "<html>",
       "[]",
       "{}",
       R"({"choices":{}})",
       R"({"choices":[3]})",
       R"({"choices":[]})",
       R"({"choices":[{"index":-1,"message":{"content":"x"},"finish_reason":"stop"}]})",
       R"({"choices":[{"index":100000,"message":{"content":"x"},"finish_reason":"stop"}]})",
       R"({"choices":[{"index":0,"message":{"content":5},"finish_reason":"stop"}]})",
       R"({"choices":[{"index":0,"message":{"tool_calls":{"a":1}},"finish_reason":"stop"}]})",
       R"({"choices":[{"index":0,"message":{"tool_calls":[5]},"finish_reason":"stop"}]})",
       R"({"choices":[{"index":0,"message":{"tool_calls":[{"function":"f"}]},"finish_reason":"stop"}]})",
       R"({"choices":[{"index":0,"message":"text","finish_reason":"stop"}]})",
       R"({"choices":[{"index":0,"message":{"content":["x"]},"finish_reason":"stop"}]})",
       R"({"choices":[{"index":0,"message":{"content":"x","refusal":5},"finish_reason":"stop"}]})",
       R"({"choices":[{"index":0,"message":{"content":"x"},"logprobs":[],"finish_reason":"stop"}]})",
       R"({"choices":[{"index":0,"message":{"content":"x"},"logprobs":{"content":5},"finish_reason":"stop"}]})",
       R"({"choices":[{"index":0,"message":{"content":"x"},"finish_reason":7}]})",
       R"({"choices":[{"index":0,"message":{"content":"no end"}}]})"}) {
    AnswerReader r = reader();
    std::vector<Event> events;
    const auto read = r.whole(body, events);
    ASSERT_FALSE(read) << body;
    EXPECT_EQ(read.error().code, base::Code::kBadGateway) << body;
    EXPECT_TRUE(all_of<llm::Done>(events).empty());
  }
}

/// Nothing that it sends is walked deeper than the limit, wherever it stands.
TEST(AnswerReader, DepthHasALimit) {
  const auto nested = [](std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
  const auto read = [](const std::string& body) {
    AnswerReader r = reader();
    std::vector<Event> events;
    return r.whole(body, events);
  };
  const std::string choice = R"("choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}])";
  EXPECT_TRUE(read("{" + choice + R"(,"zz":)" + nested(63) + "}"));
  for (const std::string& body :
       {"{" + choice + R"(,"zz":)" + nested(64) + "}", "{" + choice + R"(,"zz":)" + nested(500'000) + "}",
        "{" + choice + R"(,"usage":{"details":)" + nested(500'000) + "}}", nested(1'000'000),
        std::string(1'000'000, '['), R"({"error":)" + nested(500'000) + "}"}) {
    const auto deep = read(body);
    ASSERT_FALSE(deep) << body.substr(0, 100);
    EXPECT_EQ(deep.error().code, base::Code::kBadGateway);
    EXPECT_THAT(deep.error().message, testing::HasSubstr("deeper than 64 levels"));
  }
  std::string chain, ends;
  for (int i = 0; i < 200'000; ++i) {
    chain += R"({"error":)";
    ends += '}';
  }
  for (const std::string& body : {nested(500'000), chain + "5" + ends}) {
    const base::Error error = status_error(500, {}, body, 0);
    EXPECT_EQ(error.code, base::Code::kUnavailable);
    EXPECT_LT(error.message.size(), 1000U);
  }
}

TEST(AnswerReader, NumbersOfAnySizeAreTaken) {
  AnswerReader r = reader();
  std::vector<Event> events;
  ASSERT_TRUE(r.whole(
      R"({"created":-3,"choices":[{"index":0.0,"message":{"content":"a"},"finish_reason":"stop","logprobs":{"content":[
          {"token":"a","logprob":-1e300,"bytes":[97,1e300,-1,256.5]}]}}],
          "usage":{"prompt_tokens":18446744073709551615,"completion_tokens":9223372036854775807}})",
      events));
  EXPECT_EQ(std::get<llm::Started>(events.front()).created_unix_s, 9);
  const auto& usage = std::get<llm::Done>(events.back()).usage;
  EXPECT_GE(usage.prompt_tokens + usage.completion_tokens, 0) << "their sum is a number, too";
}

TEST(AnswerReader, AStreamMayEndInAnErrorOrBreakOff) {
  AnswerReader r = reader();
  std::vector<Event> events;
  ASSERT_TRUE(r.chunk(R"({"choices":[{"index":0,"delta":{"content":"Pa"}}]})", events));
  EXPECT_EQ(r.finish(events).error().code, base::Code::kBadGateway);
  const auto failed = r.chunk(R"({"error":{"message":"out of memory","code":503}})", events);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, base::Code::kUnavailable);
  EXPECT_THAT(failed.error().message, testing::HasSubstr("out of memory"));
}

TEST(AnswerReader, NoInputBreaksIt) {
  const std::string good =
      R"({"choices":[{"index":0,"delta":{"content":"x","tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]},"logprobs":{"content":[{"token":"x","logprob":-1,"top_logprobs":[]}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}})";
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string bad = good;
    for (int edits = 1 + static_cast<int>(random() % 3); edits > 0; --edits) {
      const std::size_t at = random() % bad.size();
      const std::size_t kind = random() % 3;
      if (kind == 0) bad[at] = static_cast<char>(random());
      if (kind == 1) bad.erase(at, 1 + random() % 20);
      if (kind == 2) bad.insert(at, good, random() % good.size(), random() % 20);
      if (bad.empty()) bad = "{}";
    }
    AnswerReader r = reader();
    std::vector<Event> events;
    if (r.chunk(bad, events)) (void)r.finish(events);
    if (!events.empty()) {
      EXPECT_TRUE(std::holds_alternative<llm::Started>(events.front())) << bad;
    }
  }
}

}  // namespace
}  // namespace pmt::upstream
