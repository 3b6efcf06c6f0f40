// Streams and bodies after the published schema of the Responses API.
#include "upstream/responses/response_reader.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "upstream/reader_test_parts.h"

namespace pmt::upstream {
namespace {

using base::Code;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using json = nlohmann::json;

const char* const kUsage =
    R"({"input_tokens":36,"input_tokens_details":{"cached_tokens":30,"cache_write_tokens":4},
        "output_tokens":87,"output_tokens_details":{"reasoning_tokens":64},"total_tokens":123})";

std::string created() {
  return R"({"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response",
             "created_at":1741476777,"status":"in_progress","error":null,"output":[],"service_tier":"default"}})";
}
std::string ended(const std::string& type, const std::string& output, const std::string& more = "") {
  return R"({"type":"response.)" + type + R"(","response":{"created_at":1741476777,"status":")" + type +
         R"(","error":null,"output":)" + output + R"(,"usage":)" + kUsage + more + "}}";
}
std::string with_item(const std::string& type, int index, const std::string& item) {
  return R"({"type":"response.output_item.)" + type + R"(","output_index":)" + std::to_string(index) +
         R"(,"item":)" + item + "}";
}
std::string added(int index, const std::string& item) {
  return with_item("added", index, item);
}
std::string item_done(int index, const std::string& item) {
  return with_item("done", index, item);
}
std::string delta(int index, const std::string& what, const std::string& text, const std::string& more = "") {
  return R"({"type":"response.)" + what + R"(.delta","item_id":"i","output_index":)" + std::to_string(index) +
         R"(,"content_index":0,"delta":)" + json(text).dump() + more + "}";
}

const char* const kMessage = R"({"id":"msg_1","type":"message","role":"assistant","status":"completed",
    "content":[{"type":"output_text","text":"Hello","annotations":[]}]})";

ReadAnswer streamed(const std::vector<std::string>& payloads) {
  ResponseReader reader({.model = "p/m", .now_unix_s = 5, .seed = "s"});
  return read_stream(reader, payloads);
}
ReadAnswer whole(const std::string& body) {
  ResponseReader reader({.model = "p/m", .now_unix_s = 5, .seed = "s"});
  return read_whole(reader, body);
}

TEST(ResponseReader, AStreamOfText) {
  const ReadAnswer answer = streamed(
      {created(), added(0, R"({"id":"msg_1","type":"message","content":[]})"),
       delta(0, "output_text", "Hel",
             R"(,"logprobs":[{"token":"Hel","logprob":-0.5,"bytes":[72,101,108],"top_logprobs":[]}])"),
       delta(0, "output_text", "lo", R"(,"logprobs":[])"),
       R"({"type":"response.output_text.annotation.added","output_index":0,"annotation":{"type":"url_citation"}})",
       R"({"type":"response.output_text.done","output_index":0,"text":"Hello"})", item_done(0, kMessage),
       ended("completed", std::string("[") + kMessage + "]")});
  ASSERT_FALSE(answer.failed) << answer.failed->message;
  EXPECT_EQ(answer.started.model, "p/m");
  EXPECT_EQ(answer.started.created_unix_s, 1741476777);
  EXPECT_EQ(answer.started.more, R"("service_tier":"default")");
  EXPECT_THAT(answer.pieces, ElementsAre("Hel", "lo")) << "once, although each end says it again";
  EXPECT_THAT(answer.logprob_tokens, ElementsAre("Hel"));
  EXPECT_EQ(answer.more.text(), R"("annotations":[{"type":"url_citation"}])");
  EXPECT_EQ(answer.end.reason, llm::FinishReason::kStop);
  EXPECT_FALSE(answer.end.no_content);
  EXPECT_EQ(answer.done.usage.prompt_tokens, 36);
  EXPECT_EQ(answer.done.usage.completion_tokens, 87);
  const json details = json::parse("{" + answer.done.usage.details + "}");
  EXPECT_EQ(details["prompt_tokens_details"], json({{"cached_tokens", 30}, {"cache_write_tokens", 4}}));
  EXPECT_EQ(answer.done.usage.cached_prompt_tokens, 30);
  EXPECT_EQ(answer.done.usage.cache_written_tokens, 4);
  EXPECT_EQ(answer.done.usage.reasoning_tokens, 64);
  EXPECT_EQ(details["completion_tokens_details"]["reasoning_tokens"], 64);
}

TEST(ResponseReader, ReasoningComesWithItsEncryptedItem) {
  const std::string item =
      R"({"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"A"}],"encrypted_content":"gAAA"})";
  const ReadAnswer answer =
      streamed({created(), added(0, R"({"id":"rs_1","type":"reasoning","summary":[]})"),
                delta(0, "reasoning_summary_text", "A", R"(,"summary_index":0)"),
                delta(0, "reasoning_summary_text", "B", R"(,"summary_index":1)"), item_done(0, item),
                delta(1, "output_text", "4"), ended("completed", "[]")});
  ASSERT_FALSE(answer.failed) << answer.failed->message;
  EXPECT_EQ(answer.reasoning, "A\n\nB");
  EXPECT_EQ(answer.text(), "4");
  EXPECT_EQ(answer.more.text(), "\"reasoning_items\":[" + item + "]");
}

TEST(ResponseReader, ParallelCallsKeepTheirIds) {
  const std::string first =
      R"({"id":"fc_1","type":"function_call","call_id":"call_1","name":"weather","arguments":)";
  const std::string second = R"({"type":"function_call","call_id":"call_2","name":"now","arguments":)";
  const std::string arguments = R"("{\"z\":1,\"a\":2}")";
  const ReadAnswer answer = streamed(
      {created(), added(0, first + "\"\"}"), added(1, second + "\"\"}"),
       delta(0, "function_call_arguments", "{\"z\":1,"), delta(0, "function_call_arguments", "\"a\":2}"),
       R"({"type":"response.function_call_arguments.done","output_index":0,"arguments":)" + arguments + "}",
       item_done(1, second + "\"{}\"}"), ended("completed", "[" + first + arguments + "}]")});
  ASSERT_FALSE(answer.failed) << answer.failed->message;
  EXPECT_EQ(answer.end.reason, llm::FinishReason::kToolCalls);
  EXPECT_TRUE(answer.end.no_content);
  EXPECT_THAT(answer.calls, ElementsAre("call_1 weather {\"z\":1,\"a\":2}", "call_2 now {}"));
  ASSERT_EQ(answer.end.tool_calls.size(), 2U);
  EXPECT_EQ(
      json::parse(answer.end.tool_calls[0]),
      json::parse(
          R"({"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"z\":1,\"a\":2}"}})"));
}

TEST(ResponseReader, AWholeResponseSaysTheSame) {
  const ReadAnswer answer = whole(
      R"({"id":"resp_1","object":"response","created_at":7,"status":"completed","error":null,"output":[
          {"id":"rs_1","type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},
          {"type":"web_search_call","id":"ws_1","status":"completed"},)" +
      std::string(kMessage) +
      R"(,{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}],"usage":)" + kUsage + "}");
  ASSERT_FALSE(answer.failed) << answer.failed->message;
  EXPECT_EQ(answer.started.created_unix_s, 7);
  EXPECT_EQ(answer.reasoning, "hm");
  EXPECT_EQ(answer.text(), "Hello");
  EXPECT_EQ(json::parse("{" + answer.more.text() + "}")["output_items"][0]["id"], "ws_1");
  EXPECT_THAT(answer.calls, ElementsAre("c f {}"));
}

TEST(ResponseReader, ARefusalIsOne) {
  const ReadAnswer answer = whole(
      R"({"status":"completed","output":[{"type":"message","content":[{"type":"refusal","refusal":"No."}]}]})");
  EXPECT_EQ(answer.more.text(), R"("refusal":"No.")");
  const ReadAnswer pieces =
      streamed({created(), delta(0, "refusal", "N"), delta(0, "refusal", "o."), ended("completed", "[]")});
  EXPECT_EQ(pieces.more.text(), R"("refusal":"No.")");
}

TEST(ResponseReader, WhatIsIncompleteSaysWhy) {
  using Reason = llm::FinishReason;
  const auto end_of = [](const std::string& why) {
    return streamed({created(), delta(0, "output_text", "x"),
                     ended("incomplete", "[]", R"(,"incomplete_details":{"reason":")" + why + "\"}")})
        .end;
  };
  EXPECT_EQ(end_of("max_output_tokens").reason, Reason::kLength);
  EXPECT_EQ(end_of("max_output_tokens").choice_more, "");
  EXPECT_EQ(end_of("content_filter").reason, Reason::kContentFilter);
  EXPECT_EQ(end_of("steered").choice_more, R"("native_finish_reason":"steered")");
}

TEST(ResponseReader, ErrorsSayWhatTheyAre) {
  const std::string failed =
      R"({"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow"}}})";
  EXPECT_EQ(streamed({created(), failed}).failed->code, Code::kExhausted);
  EXPECT_THAT(streamed({created(), failed}).failed->message, HasSubstr("slow"));
  EXPECT_EQ(
      streamed({R"({"type":"error","code":"invalid_prompt","message":"bad","param":null})"}).failed->code,
      Code::kInvalidArgument);
  EXPECT_EQ(streamed({R"({"error":{"type":"error","code":"server_error","message":"oops"}})"}).failed->code,
            Code::kUnavailable)
      << "as a named event comes here";
  EXPECT_EQ(whole(R"({"status":"failed","error":{"code":"server_error","message":"oops"},"output":[]})")
                .failed->code,
            Code::kUnavailable);
}

TEST(ResponseReader, WhatIsNoSuchAnswerIsABadGateway) {
  const std::vector<std::vector<std::string>> streams = {
      {"<html>"},
      {created()},
      {created(), delta(0, "output_text", "half")},
      {created(), added(-1, "{}")},
      {created(), added(0, "7")},
      {created(), added(0, R"({"type":"function_call","call_id":"c"})")},
      {created(), R"({"type":"response.cancelled","response":{"status":"cancelled"}})"},
      {created(), ended("completed", "[7]")},
  };
  for (const auto& payloads : streams) {
    const ReadAnswer answer = streamed(payloads);
    ASSERT_TRUE(answer.failed) << payloads.back();
    EXPECT_EQ(answer.failed->code, Code::kBadGateway) << payloads.back();
  }
  for (const char* body : {"", "[]", R"({"output":"x"})", R"({"status":"in_progress","output":[]})"}) {
    const ReadAnswer answer = whole(body);
    ASSERT_TRUE(answer.failed) << body;
    EXPECT_EQ(answer.failed->code, Code::kBadGateway) << body;
  }
}

TEST(ResponseReader, UnknownEventsArePassedOver) {
  const ReadAnswer answer = streamed({created(), R"({"type":"response.of_tomorrow"})",
                                      R"({"type":"response.of_tomorrow","output_index":0})",
                                      delta(0, "output_text", "x"), ended("completed", "[]")});
  EXPECT_FALSE(answer.failed);
  EXPECT_EQ(answer.text(), "x");
}

}  // namespace
}  // namespace pmt::upstream
