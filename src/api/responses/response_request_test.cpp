#include "api/responses/response_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/json/test_question.h"

namespace pmt::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

base::Result<ResponseCall> read(const std::string& body, const ResponseConversation& conversation = {}) {
  TRY_ASSIGN(ResponseRequest request, read_response_request(body));
  TRY_ASSIGN(ResponseCall call, finish_response_request(std::move(request), conversation, body, {}));
  if (!call.call.refusals.empty()) return call.names.own_words(call.call.refusals.front());
  return call;
}

llm::Request request_of(const std::string& body, const ResponseConversation& conversation = {}) {
  auto call = read(body, conversation);
  if (!call) ADD_FAILURE() << call.error().field << ": " << call.error().message;
  return call ? call->call.request : llm::Request{};
}

/// What an upstream that speaks this API is sent.
std::string own_of(const std::string& body, const ResponseConversation& conversation = {}) {
  const auto call = read(body, conversation);
  return call ? call->own : call.error().message;
}

TEST(ResponseRequest, ItsOwnWordsAreThoseOfItsCaller) {
  const std::string body = R"({ "model":"m","input":"\u00e9", "store":true})";
  EXPECT_EQ(own_of(body), body);
  const std::string reasoning =
      R"({"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"gAAA","status":"completed"})";
  EXPECT_EQ(
      own_of(
          R"({"model":"m","previous_response_id":"resp_1","input":[{"role":"user","content":"so?"}],"top_p":0.50})",
          {.history = {R"({"id":"msg_1","type":"message","role":"user","content":"hi","status":"completed"})",
                       reasoning},
           .id_stem = "s"}),
      R"({"input":[{"type":"message","role":"user","content":"hi"},)" + reasoning +
          R"(,{"role":"user","content":"so?"}],"model":"m","top_p":0.50})")
      << "with what is known here only, and without our ids for it";
}

base::Error error_of(const std::string& body) {
  const auto call = read(body);
  EXPECT_FALSE(call.has_value()) << body;
  return call ? base::Error{} : call.error();
}

TEST(ResponseRequest, ATextIsTheSameQuestionAsChats) {
  EXPECT_EQ(
      question(request_of(R"({"model": "m", "input": "hi", "temperature": 0, "max_output_tokens": 16})")),
      chat_question(R"({"model": "m", "temperature": 0, "max_completion_tokens": 16,
                              "messages": [{"role": "user", "content": "hi"}]})"));
}

TEST(ResponseRequest, AConversationWithToolsIsTheSameQuestionAsChats) {
  const std::string body = R"({"model": "m", "instructions": "Be brief.", "tool_choice": "auto",
    "tools": [{"type": "function", "name": "weather", "description": "d", "strict": true,
               "parameters": {"type": "object", "properties": {"b": {}, "a": {}}}}],
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}},
    "input": [
      {"role": "user", "content": [{"type": "input_text", "text": "Oslo?"}]},
      {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
       "content": [{"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []}]},
      {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "weather", "arguments": "{\"a\": 1}"},
      {"type": "function_call", "call_id": "c2", "name": "weather", "arguments": "{}"},
      {"type": "function_call_output", "call_id": "c1", "output": "rain"},
      {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "sun"}]},
      {"role": "developer", "content": "Now."}]})";
  EXPECT_EQ(question(request_of(body)), chat_question(R"({"model": "m", "tool_choice": "auto",
    "tools": [{"type": "function", "function": {"name": "weather", "description": "d",
               "parameters": {"type": "object", "properties": {"b": {}, "a": {}}}, "strict": true}}],
    "response_format": {"type": "json_schema",
                        "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": true}},
    "messages": [
      {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Oslo?"},
      {"role": "assistant", "content": "I look.", "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\"a\": 1}"}},
        {"id": "c2", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]},
      {"role": "tool", "tool_call_id": "c1", "content": "rain"},
      {"role": "tool", "tool_call_id": "c2", "content": "sun"},
      {"role": "developer", "content": "Now."}]})"));
}

TEST(ResponseRequest, CallsWithoutATextAreOneTurn) {
  const llm::Request r = request_of(R"({"model": "m", "input": [
    {"role": "user", "content": "q"},
    {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
    {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
    {"type": "function_call", "call_id": "b", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "a", "output": "1"},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]})");
  ASSERT_EQ(r.messages.size(), 4U);
  EXPECT_EQ(r.messages[1].tool_calls.size(), 2U);
  EXPECT_EQ(r.messages[1].content, "");
  EXPECT_EQ(r.messages[3].tool_calls.size(), 1U);
}

TEST(ResponseRequest, WhatWasSaidEarlierStandsBeforeTheInput) {
  const ResponseConversation earlier{
      .history = {R"({"role": "user", "content": "one"})", R"({"role": "assistant", "content": "two"})"}};
  const llm::Request r = request_of(R"({"model": "m", "instructions": "s", "input": "three"})", earlier);
  ASSERT_EQ(r.messages.size(), 4U);
  EXPECT_EQ(r.messages[0].role, "system");
  EXPECT_EQ(r.messages[2].content, "two");
  EXPECT_EQ(r.messages[3].content, "three");
}

TEST(ResponseRequest, ItemsAreKeptAsTheyAreListed) {
  const auto call = read(R"({"model": "m", "input": [{"role": "user", "content": "hi"},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]})",
                         {.id_stem = "ab"});
  ASSERT_TRUE(call);
  EXPECT_THAT(
      call->input,
      ElementsAre(R"({"id":"msg_abi0","type":"message","role":"user",)"
                  R"("content":[{"type":"input_text","text":"hi"}],"status":"completed"})",
                  R"({"id":"fc_abi1","type":"function_call","call_id":"c","name":"f","arguments":"{}",)"
                  R"("status":"completed"})"));
}

TEST(ResponseRequest, WithoutStoreNothingIsKept) {
  const auto call = read(R"({"model": "m", "store": false, "input": "hi"})");
  ASSERT_TRUE(call);
  EXPECT_TRUE(call->input.empty());
  EXPECT_EQ(call->call.request.messages.size(), 1U);
}

TEST(ResponseRequest, OnlyAllowedToolsAreOffered) {
  const std::string tools =
      R"("tools": [{"type": "function", "name": "a"}, {"type": "function", "name": "b"}])";
  const llm::Request r = request_of(R"({"model": "m", "input": "q", )" + tools + R"(, "tool_choice":
    {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "b"}]}})");
  ASSERT_EQ(r.tools.size(), 1U);
  EXPECT_EQ(r.tools[0].function.name, "b");
  EXPECT_EQ(r.tool_choice.kind, llm::ToolChoice::Kind::kRequired);
  EXPECT_EQ(error_of(R"({"model": "m", "input": "q", )" + tools + R"(, "tool_choice":
    {"type": "allowed_tools", "mode": "auto", "tools": [{"name": "c"}]}})")
                .field,
            "tool_choice.tools[0].name");
}

TEST(ResponseRequest, MistakesAreNamedByTheCallersPath) {
  const auto field = [](const std::string& more) {
    const base::Error error = error_of(R"({"model": "m", "input": "q", )" + more + "}");
    EXPECT_THAT(error.message, StartsWith("'" + error.field + "' "));
    return error.field;
  };
  EXPECT_EQ(field(R"("max_output_tokens": 0)"), "max_output_tokens");
  EXPECT_EQ(field(R"("temperature": 3)"), "temperature");
  EXPECT_EQ(field(R"("input": [{"role": "user", "content": [{"type": "audio"}]}])"),
            "input[0].content[0].type");
  EXPECT_EQ(field(R"("input": [{"role": "user", "content": "a"}, {"type": "web_search_call"}])"),
            "input[1].type");
  EXPECT_EQ(field(R"("input": [{"type": "function_call", "call_id": "c", "name": "f"}])"),
            "input[0].arguments");
  EXPECT_EQ(field(R"("input": [{"role": "user", "content": "a", "colour": 1}])"), "input[0].colour");
  EXPECT_EQ(field(R"("input": [{"id": "msg_x", "type": "item_reference"}])"), "input[0]");
  EXPECT_EQ(field(R"("tools": [{"type": "web_search"}])"), "tools[0].type");
  EXPECT_EQ(field(R"("tools": [{"type": "function", "name": "f", "parameters": 5}])"), "tools[0].parameters");
  EXPECT_EQ(field(R"("text": {"format": {"type": "json_schema"}})"), "text.format.schema");
  EXPECT_EQ(field(R"("conversation": "c")"), "conversation");
  EXPECT_EQ(field(R"("tempature": 1)"), "tempature");
  EXPECT_EQ(field(R"("truncation": "auto")"), "truncation");
  EXPECT_EQ(field(R"("background": true, "store": false)"), "background");
  EXPECT_EQ(field(R"("metadata": {"a": 1})"), "metadata.a");
  EXPECT_EQ(field(R"("permutation": {"kv": {"ratio": 0}})"), "permutation.kv.ratio");
  EXPECT_EQ(error_of(R"({"model": "m"})").field, "input");
  EXPECT_EQ(error_of(R"({"input": "q"})").field, "model");
  EXPECT_EQ(error_of(R"({"model": "m", "input": []})").field, "input");
}

TEST(ResponseRequest, ACallTooDeepIsNamedWhereItIs) {
  const std::string deep = std::string(100, '[') + std::string(100, ']');
  const base::Error error = error_of(R"({"model": "m", "input": [{"type": "function_call", "call_id": "c",
    "name": "f", "arguments": ")" + deep +
                                     R"("}]})");
  EXPECT_EQ(error.field, "input[0].arguments");
  EXPECT_THAT(error.message, HasSubstr("64 levels"));
}

TEST(FieldNames, TellsErrorsInTheCallersWords) {
  FieldNames names;
  names.add("messages", "input");
  names.add("messages[3]", "input[2]");
  names.add("tools[0].function", "tools[0]");
  const auto own = [&](const std::string& field) {
    return names.own_words(base::invalid("'" + field + "' must be good", field));
  };
  EXPECT_EQ(own("messages").field, "input");
  EXPECT_EQ(own("messages[3].content[1].type").field, "input[2].content[1].type");
  EXPECT_EQ(own("messages[4].role").field, "input[4].role");
  EXPECT_EQ(own("tools[0].function.parameters.x").message, "'tools[0].parameters.x' must be good");
  EXPECT_EQ(own("temperature").message, "'temperature' must be good");
}

}  // namespace
}  // namespace pmt::api
