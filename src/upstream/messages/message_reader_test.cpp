// Streams and bodies after the published schema of the Messages API.
#include "upstream/messages/message_reader.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "upstream/reader_test_parts.h"

namespace pmt::upstream {
namespace {

using base::Code;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using json = nlohmann::json;

const char* const kStart =
    R"({"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x",
        "content":[],"stop_reason":null,"stop_sequence":null,
        "usage":{"input_tokens":25,"cache_creation_input_tokens":100,"cache_read_input_tokens":900,
                 "cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":0},
                 "output_tokens":1,"service_tier":"standard"}}})";
const char* const kStop = R"({"type":"message_stop"})";

std::string begins(int index, const std::string& block) {
  return R"({"type":"content_block_start","index":)" + std::to_string(index) + R"(,"content_block":)" +
         block + "}";
}
std::string brings(int index, const std::string& delta) {
  return R"({"type":"content_block_delta","index":)" + std::to_string(index) + R"(,"delta":)" + delta + "}";
}
std::string ends(int index) {
  return R"({"type":"content_block_stop","index":)" + std::to_string(index) + "}";
}
std::string stops(const std::string& reason, const std::string& sequence = "null") {
  return R"({"type":"message_delta","delta":{"stop_reason":")" + reason + R"(","stop_sequence":)" + sequence +
         R"(},"usage":{"output_tokens":15,"output_tokens_details":{"thinking_tokens":7}}})";
}

ReadAnswer streamed(const std::vector<std::string>& payloads) {
  MessageReader reader({.model = "p/m", .now_unix_s = 5, .seed = "s"});
  return read_stream(reader, payloads);
}
ReadAnswer whole(const std::string& body) {
  MessageReader reader({.model = "p/m", .now_unix_s = 5, .seed = "s"});
  return read_whole(reader, body);
}

TEST(MessageReader, AStreamOfText) {
  const ReadAnswer answer =
      streamed({kStart, begins(0, R"({"type":"text","text":""})"), R"({"type": "ping"})",
                brings(0, R"({"type":"text_delta","text":"Hel"})"),
                brings(0, R"({"type":"text_delta","text":"lo"})"), ends(0), stops("end_turn"), kStop});
  EXPECT_EQ(answer.started.model, "p/m");
  EXPECT_THAT(answer.pieces, ElementsAre("Hel", "lo"));
  EXPECT_EQ(answer.end.reason, llm::FinishReason::kStop);
  EXPECT_EQ(answer.end.choice_more, "") << "end_turn says no more than stop";
  EXPECT_FALSE(answer.end.no_content);
  EXPECT_EQ(answer.done.usage.prompt_tokens, 1025) << "with what the cache had, and what it was given";
  EXPECT_EQ(answer.done.usage.completion_tokens, 15);
  const json details = json::parse("{" + answer.done.usage.details + "}");
  EXPECT_EQ(details["prompt_tokens_details"], json({{"cached_tokens", 900}, {"cache_write_tokens", 100}}));
  EXPECT_EQ(answer.done.usage.cached_prompt_tokens, 900);
  EXPECT_EQ(answer.done.usage.cache_written_tokens, 100);
  EXPECT_EQ(answer.done.usage.reasoning_tokens, 7);
  EXPECT_EQ(details["completion_tokens_details"]["reasoning_tokens"], 7);
  EXPECT_EQ(details["service_tier"], "standard");
  EXPECT_EQ(details["cache_creation"]["ephemeral_5m_input_tokens"], 100);
}

TEST(MessageReader, ThinkingComesAsItIsThoughtAndSignedAtItsEnd) {
  const ReadAnswer answer =
      streamed({kStart, begins(0, R"({"type":"thinking","thinking":"","signature":""})"),
                brings(0, R"({"type":"thinking_delta","thinking":"Let me "})"),
                brings(0, R"({"type":"thinking_delta","thinking":"see."})"),
                brings(0, R"({"type":"signature_delta","signature":"EqQB=="})"), ends(0),
                begins(1, R"({"type":"redacted_thinking","data":"Em0w"})"), ends(1),
                begins(2, R"({"type":"text","text":""})"), brings(2, R"({"type":"text_delta","text":"4"})"),
                ends(2), stops("end_turn"), kStop});
  EXPECT_EQ(answer.reasoning, "Let me see.");
  EXPECT_EQ(answer.text(), "4");
  EXPECT_EQ(json::parse("{" + answer.more.text() + "}")["thinking_blocks"],
            json::parse(R"([{"type":"thinking","thinking":"Let me see.","signature":"EqQB=="},
                            {"type":"redacted_thinking","data":"Em0w"}])"));
}

TEST(MessageReader, ParallelCallsKeepTheirIds) {
  const ReadAnswer answer =
      streamed({kStart, begins(0, R"({"type":"tool_use","id":"toolu_1","name":"weather","input":{}})"),
                brings(0, R"({"type":"input_json_delta","partial_json":""})"),
                brings(0, R"({"type":"input_json_delta","partial_json":"{\"z\":1,"})"),
                brings(0, R"({"type":"input_json_delta","partial_json":"\"a\":\"\u00e9\"}"})"), ends(0),
                begins(1, R"({"type":"tool_use","id":"toolu_2","name":"now","input":{}})"), ends(1),
                stops("tool_use"), kStop});
  EXPECT_EQ(answer.end.reason, llm::FinishReason::kToolCalls);
  EXPECT_TRUE(answer.end.no_content);
  ASSERT_EQ(answer.end.tool_calls.size(), 2U);
  EXPECT_EQ(json::parse(answer.end.tool_calls[0]), json::parse(R"({"id":"toolu_1","type":"function",
                            "function":{"name":"weather","arguments":"{\"z\":1,\"a\":\"é\"}"}})"));
  EXPECT_EQ(json::parse(answer.end.tool_calls[1])["function"]["arguments"], "{}");
  EXPECT_THAT(answer.calls, ElementsAre("toolu_1 weather {\"z\":1,\"a\":\"é\"}", "toolu_2 now {}"))
      << "what came in pieces";
}

TEST(MessageReader, AWholeMessageSaysTheSame) {
  const ReadAnswer answer =
      whole(R"({"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[
      {"type":"thinking","thinking":"hm","signature":"sig"},
      {"type":"text","text":"Oslo?","citations":[{"type":"char_location","cited_text":"O"}]},
      {"type":"server_tool_use","id":"srv","name":"web_search","input":{}},
      {"type":"tool_use","id":"toolu_1","name":"weather","input":{"z":1.50,"a":[]}}],
      "stop_reason":"tool_use","stop_sequence":null,"container":{"id":"c"},
      "usage":{"input_tokens":3,"output_tokens":2}})");
  EXPECT_EQ(answer.reasoning, "hm");
  EXPECT_EQ(answer.text(), "Oslo?");
  const json more = json::parse("{" + answer.more.text() + "}");
  EXPECT_EQ(more["thinking_blocks"][0]["signature"], "sig");
  EXPECT_EQ(more["citations"][0]["cited_text"], "O");
  EXPECT_EQ(more["content_parts"][0]["name"], "web_search") << "chat has no word for it";
  ASSERT_EQ(answer.end.tool_calls.size(), 1U);
  EXPECT_EQ(json::parse(answer.end.tool_calls[0])["function"]["arguments"], R"({"z":1.50,"a":[]})")
      << "in the order and spelling in which they came";
  EXPECT_EQ(answer.done.extra, R"("container":{"id":"c"})");
  EXPECT_EQ(answer.done.usage.prompt_tokens, 3);
  EXPECT_EQ(answer.done.usage.details, "");
}

TEST(MessageReader, EndsHaveOpenAIsWordsAndTheirOwnBeside) {
  using Reason = llm::FinishReason;
  const struct {
    const char* word;
    Reason reason;
    const char* more;
  } kEnds[] = {{"max_tokens", Reason::kLength, ""},
               {"model_context_window_exceeded", Reason::kLength,
                R"("native_finish_reason":"model_context_window_exceeded")"},
               {"refusal", Reason::kContentFilter, R"("native_finish_reason":"refusal")"},
               {"pause_turn", Reason::kStop, R"("native_finish_reason":"pause_turn")"},
               {"of_tomorrow", Reason::kStop, R"("native_finish_reason":"of_tomorrow")"}};
  for (const auto& [word, reason, more] : kEnds) {
    const ReadAnswer answer = streamed({kStart, stops(word), kStop});
    EXPECT_EQ(answer.end.reason, reason) << word;
    EXPECT_EQ(answer.end.choice_more, more) << word;
  }
  const ReadAnswer stopped = streamed({kStart, stops("stop_sequence", R"("END")"), kStop});
  EXPECT_EQ(stopped.end.reason, Reason::kStop);
  EXPECT_EQ(stopped.end.choice_more, R"("native_finish_reason":"stop_sequence","stop_sequence":"END")");
}

TEST(MessageReader, ErrorsSayWhatTheyAre) {
  const struct {
    const char* event;
    Code code;
  } kErrors[] = {
      {R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})", Code::kUnavailable},
      {R"({"type":"error","error":{"type":"rate_limit_error","message":"slow"}})", Code::kExhausted},
      {R"({"type":"error","error":{"type":"invalid_request_error","message":"bad"}})",
       Code::kInvalidArgument},
      {R"({"type":"error","error":{"type":"not_found_error","message":"no model"}})", Code::kNotFound},
      {R"({"type":"error","error":{"type":"api_error","message":"oops"}})", Code::kUnavailable},
      {R"({"type":"error"})", Code::kUnavailable}};
  for (const auto& [event, code] : kErrors) {
    const ReadAnswer answer = streamed({kStart, event});
    ASSERT_TRUE(answer.failed) << event;
    EXPECT_EQ(answer.failed->code, code) << event;
  }
  EXPECT_THAT(streamed({kErrors[0].event}).failed->message, HasSubstr("Overloaded"));
  EXPECT_EQ(streamed({kErrors[0].event}).failed->foreign->type, "overloaded_error");
}

TEST(MessageReader, WhatIsNoSuchAnswerIsABadGateway) {
  const std::vector<std::vector<std::string>> streams = {
      {"<html>"},
      {"[1]"},
      {kStart},
      {kStart, begins(0, R"({"type":"text","text":""})"), ends(0)},
      {kStart, brings(0, R"({"type":"text_delta","text":"x"})")},
      {kStart, begins(0, R"({"type":"tool_use","id":"t"})")},
      {kStart, begins(-1, R"({"type":"text"})")},
      {kStart, R"({"type":"content_block_start","index":0,"content_block":7})"},
      {kStart, R"({"type":"content_block_stop"})"},
  };
  for (const auto& payloads : streams) {
    const ReadAnswer answer = streamed(payloads);
    ASSERT_TRUE(answer.failed) << payloads.back();
    EXPECT_EQ(answer.failed->code, Code::kBadGateway) << payloads.back();
  }
  for (const char* body :
       {"", "7", R"({"content":"x"})", R"({"content":[]})", R"({"content":[1],"stop_reason":"x"})"}) {
    const ReadAnswer answer = whole(body);
    ASSERT_TRUE(answer.failed) << body;
    EXPECT_EQ(answer.failed->code, Code::kBadGateway) << body;
  }
}

TEST(MessageReader, UnknownEventsAndAStreamThatEndsWithoutAWordAreTaken) {
  const ReadAnswer answer = streamed({kStart, R"({"type":"of_tomorrow","index":3})",
                                      begins(0, R"({"type":"text","text":"all at once"})"), ends(0),
                                      brings(0, R"({"type":"of_tomorrow_delta"})"), stops("end_turn")});
  EXPECT_EQ(answer.text(), "all at once");
  EXPECT_FALSE(answer.failed);
}

}  // namespace
}  // namespace pmt::upstream
