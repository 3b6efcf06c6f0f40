#include "api/messages/message_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/json/test_question.h"

namespace pmt::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

MessageCall read(const std::string& body, const MessageRequestOptions& options = {}) {
  auto call = read_message_request(body, options);
  if (!call) ADD_FAILURE() << call.error().field << ": " << call.error().message;
  return call ? *std::move(call) : MessageCall{};
}
base::Error error_of(const std::string& body) {
  const auto call = read_message_request(body, {});
  if (!call) return call.error();
  EXPECT_FALSE(call->call.refusals.empty()) << body;
  return call->call.refusals.empty() ? base::Error{} : call->names.own_words(call->call.refusals.front());
}
/// Of a request that is right but for `more`.
std::string field_of(const std::string& more) {
  const base::Error error = error_of(
      R"({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "q"}], )" + more + "}");
  EXPECT_THAT(error.message, StartsWith("'" + error.field + "' "));
  return error.field;
}

TEST(MessageRequest, ATextIsTheSameQuestionAsChats) {
  EXPECT_EQ(question(read(R"({"model": "m", "max_tokens": 16, "temperature": 0, "system": "Be brief.",
                             "stop_sequences": ["END"], "metadata": {"user_id": "ann"},
                             "messages": [{"role": "user", "content": "hi"}]})")
                         .call.request),
            chat_question(R"({"model": "m", "max_tokens": 16, "temperature": 0, "stop": ["END"], "messages": [
              {"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]})"));
}

TEST(MessageRequest, AConversationWithToolsIsTheSameQuestionAsChats) {
  const std::string body = R"({"model": "m", "max_tokens": 16,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "tools": [{"name": "weather", "description": "d", "input_schema": {"type": "object", "properties": {}}}],
    "tool_choice": {"type": "any"},
    "messages": [
      {"role": "user", "content": [{"type": "text", "text": "Oslo?"}]},
      {"role": "assistant", "content": [
        {"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "t1", "name": "weather", "input": {"a": 1}},
        {"type": "tool_use", "id": "t2", "name": "weather", "input": {}}]},
      {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "t1", "content": "rain"},
        {"type": "tool_result", "tool_use_id": "t2", "is_error": true,
         "content": [{"type": "text", "text": "no"}, {"type": "text", "text": "such city"}]},
        {"type": "text", "text": "Well?"}]}]})";
  const llm::Request r = read(body).call.request;
  ASSERT_EQ(r.messages.size(), 6U);
  EXPECT_EQ(r.messages[4].content, "Error: no\nsuch city");
  const std::string without = R"("messages": [
      {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Oslo?"},
      {"role": "assistant", "content": "I look.", "reasoning_content": "hm", "tool_calls": [
        {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": "{\"a\":1}"}},
        {"id": "t2", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]},
      {"role": "tool", "tool_call_id": "t1", "content": "rain"},
      {"role": "tool", "tool_call_id": "t2", "content": "Error: no\nsuch city"},
      {"role": "user", "content": "Well?"}])";
  EXPECT_EQ(question(r), chat_question(R"({"model": "m", "max_tokens": 16, "tool_choice": "required",
    "tools": [{"type": "function", "function": {"name": "weather", "description": "d",
               "parameters": {"type": "object", "properties": {}}}}], )" +
                                       without + "}"));
}

TEST(MessageRequest, ChoicesFormsAndThinking) {
  const MessageCall call =
      read(R"({"model": "m", "max_tokens": 16, "messages": [{"role": "user", "content": "q"}],
    "tools": [{"type": "custom", "name": "f", "input_schema": {}}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true},
    "thinking": {"type": "enabled", "budget_tokens": 4000, "display": "omitted"},
    "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}})");
  const llm::Request& r = call.call.request;
  EXPECT_EQ(r.tool_choice.function, "f");
  EXPECT_EQ(r.response_format.schema, R"({"type":"object"})");
  EXPECT_TRUE(call.omit_thinking);
  EXPECT_EQ(r.thinking.budget_tokens, 4000);
  EXPECT_EQ(r.thinking.on, true);
  EXPECT_EQ(r.thinking.effort, "medium") << "for who knows no tokens";
  const MessageCall off = read(R"({"model": "m", "max_tokens": 16, "thinking": {"type": "disabled"},
    "messages": [{"role": "user", "content": "q"}]})");
  EXPECT_EQ(off.call.request.thinking, llm::ThinkingOptions{.on = false});
}

TEST(MessageRequest, MistakesAreNamedByTheCallersPath) {
  EXPECT_EQ(field_of(R"("max_tokens": 0)"), "max_tokens");
  EXPECT_EQ(field_of(R"("temperature": 3)"), "temperature");
  EXPECT_EQ(field_of(R"("stop_sequences": [5])"), "stop_sequences[0]");
  EXPECT_EQ(field_of(R"("tools": [{"type": "bash_20250124", "name": "bash"}])"), "tools[0].type");
  EXPECT_EQ(field_of(R"("tools": [{"name": "f"}])"), "tools[0].input_schema");
  EXPECT_EQ(field_of(R"("tool_choice": {"type": "tool"})"), "tool_choice.name");
  EXPECT_EQ(field_of(R"("thinking": {"type": "enabled"})"), "thinking.budget_tokens");
  EXPECT_EQ(field_of(R"("container": "c")"), "container");
  EXPECT_EQ(field_of(R"("max_token": 5)"), "max_token");
  EXPECT_EQ(field_of(R"("system": [{"type": "image"}])"), "system[0].type");
  EXPECT_EQ(field_of(R"("messages": [])"), "messages");
  EXPECT_EQ(field_of(R"("messages": [{"role": "tool", "content": "q"}])"), "messages[0].role");
  EXPECT_EQ(field_of(R"("messages": [{"role": "user", "content": []}])"), "messages[0].content");
  EXPECT_EQ(field_of(R"("messages": [{"role": "user", "content": [{"type": "tool_use"}]}])"),
            "messages[0].content[0].type");
  EXPECT_EQ(field_of(R"("messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t",
                                      "content": [{"type": "image"}]}]}])"),
            "messages[0].content[0].content[0].type");
  EXPECT_EQ(
      field_of(R"("messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}])"),
      "messages");
  EXPECT_EQ(error_of(R"({"model": "m", "messages": [{"role": "user", "content": "q"}]})").field,
            "max_tokens");
  EXPECT_EQ(error_of(R"({"max_tokens": 5, "messages": [{"role": "user", "content": "q"}]})").field, "model");
}

TEST(MessageRequest, CountingNeedsNoLimit) {
  EXPECT_TRUE(read_message_request(R"({"model": "m", "messages": [{"role": "user", "content": "q"}]})",
                                   {.counting = true}));
}

}  // namespace
}  // namespace pmt::api
