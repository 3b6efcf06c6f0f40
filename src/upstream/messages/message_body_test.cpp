#include "upstream/messages/message_body.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace pmt::upstream {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using json = nlohmann::json;

RemoteOptions options() {
  RemoteOptions out;
  out.model = "claude-x";
  return out;
}

NativeBody body_of(const std::string& chat, bool stream = false) {
  auto body = message_body(chat, options(), stream);
  if (!body) ADD_FAILURE() << body.error().field << ": " << body.error().message;
  return body ? *std::move(body) : NativeBody{};
}
json written(const std::string& chat) {
  return json::parse(body_of(chat).text);
}
/// The messages of a chat of this one.
json messages(const std::string& message) {
  return written(R"({"messages":[)" + message + "]}")["messages"];
}

TEST(MessageBody, AQuestion) {
  EXPECT_EQ(body_of(R"({"model":"p/m","messages":[{"role":"user","content":"hi"}]})").text,
            R"({"model":"claude-x","max_tokens":8192,"messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(json::parse(body_of(R"({"messages":[]})", true).text)["stream"], true);
}

TEST(MessageBody, SystemMessagesBeforeTheConversationAreItsSystem) {
  const json body = written(R"({"messages":[
      {"role":"system","content":"Be brief."},
      {"role":"developer","content":[{"type":"text","text":"Long","cache_control":{"type":"ephemeral","ttl":"1h"}}]},
      {"role":"user","content":"hi"},{"role":"system","content":"And kind."},{"role":"user","content":"so?"}]})");
  EXPECT_EQ(body["system"], json::parse(R"([{"type":"text","text":"Be brief."},
                            {"type":"text","text":"Long","cache_control":{"type":"ephemeral","ttl":"1h"}}])"));
  ASSERT_EQ(body["messages"].size(), 3U);
  EXPECT_EQ(body["messages"][1], json::parse(R"({"role":"system","content":"And kind."})"))
      << "where it stood";
}

TEST(MessageBody, Parts) {
  EXPECT_EQ(messages(R"({"role":"user","content":[
                {"type":"text","text":"see","cache_control":{"type":"ephemeral"}},
                {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO"},"cache_control":{"type":"ephemeral"}},
                {"type":"image_url","image_url":{"url":"https://x.example/a.png"}},
                {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBE"}},
                {"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"}}]})")
                [0]["content"],
            json::parse(R"([
                {"type":"text","text":"see","cache_control":{"type":"ephemeral"}},
                {"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO"},"cache_control":{"type":"ephemeral"}},
                {"type":"image","source":{"type":"url","url":"https://x.example/a.png"}},
                {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBE"},"title":"a.pdf"},
                {"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"}}])"));
}

TEST(MessageBody, CallsAndTheirResults) {
  const json all = messages(R"({"role":"assistant","content":"I look.","tool_calls":[
        {"id":"t1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Oslo\"}"}},
        {"id":"t2","type":"function","function":{"name":"now","arguments":""}},
        {"id":"t3","type":"function","function":{"name":"cut","arguments":"{\"a\":"}}]},
      {"role":"tool","tool_call_id":"t1","content":"-3"},
      {"role":"tool","tool_call_id":"t2","content":[{"type":"text","text":"noon"}],"cache_control":{"type":"ephemeral"}},
      {"role":"user","content":"and?"})");
  ASSERT_EQ(all.size(), 3U) << "results of one turn are one message";
  EXPECT_EQ(all[0]["content"], json::parse(R"([{"type":"text","text":"I look."},
      {"type":"tool_use","id":"t1","name":"weather","input":{"city":"Oslo"}},
      {"type":"tool_use","id":"t2","name":"now","input":{}},
      {"type":"tool_use","id":"t3","name":"cut","input":{"arguments":"{\"a\":"}}])"));
  EXPECT_EQ(all[1], json::parse(R"({"role":"user","content":[
      {"type":"tool_result","tool_use_id":"t1","content":"-3"},
      {"type":"tool_result","tool_use_id":"t2","content":[{"type":"text","text":"noon"}],"cache_control":{"type":"ephemeral"}}]})"));
  EXPECT_EQ(all[2]["content"], "and?");
}

TEST(MessageBody, ArgumentsAndSchemasKeepTheirOrder) {
  const std::string body =
      body_of(
          R"({"messages":[{"role":"assistant","tool_calls":[{"id":"t","function":{"name":"f","arguments":"{\"z\":1.50,\"a\":2}"}}]}],
              "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"z":{},"a":{}}}}}]})")
          .text;
  EXPECT_THAT(body, HasSubstr(R"("input":{"z":1.50,"a":2})"));
  EXPECT_THAT(body, HasSubstr(R"("input_schema":{"type":"object","properties":{"z":{},"a":{}}})"));
}

TEST(MessageBody, SignedThinkingGoesBackAsItCame) {
  const std::string blocks =
      R"([{"type":"thinking","thinking":"hm","signature":"sig"},{"type":"redacted_thinking","data":"Em"}])";
  const NativeBody kept = body_of(
      R"({"messages":[{"role":"assistant","content":"4","reasoning_content":"hm","thinking_blocks":)" +
      blocks + "}]}");
  json expected = json::parse(blocks);
  expected.push_back({{"type", "text"}, {"text", "4"}});
  EXPECT_EQ(json::parse(kept.text)["messages"][0]["content"], expected);
  EXPECT_THAT(kept.ignored, IsEmpty());
  EXPECT_THAT(
      body_of(R"({"messages":[{"role":"assistant","content":"4","reasoning_content":"hm"}]})").ignored,
      ElementsAre("messages[].reasoning_content"))
      << "nobody signed it";
}

TEST(MessageBody, Tools) {
  const json body = written(R"({"messages":[],"tools":[
      {"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true},"cache_control":{"type":"ephemeral"}},
      {"type":"function","function":{"name":"g","strict":false}},
      {"type":"web_search_20250305","name":"web_search"}]})");
  EXPECT_EQ(body["tools"], json::parse(R"([
      {"name":"f","description":"d","input_schema":{"type":"object"},"strict":true,"cache_control":{"type":"ephemeral"}},
      {"name":"g","input_schema":{"type":"object","properties":{}}},
      {"type":"web_search_20250305","name":"web_search"}])"));
  EXPECT_FALSE(body.contains("tool_choice"));
}

TEST(MessageBody, EachFormOfAChoice) {
  const auto choice = [](const std::string& more) {
    return written(R"({"messages":[],"tools":[{"type":"function","function":{"name":"f"}},
                       {"type":"function","function":{"name":"g"}}],)" +
                   more + "}");
  };
  EXPECT_EQ(choice(R"("tool_choice":"auto")")["tool_choice"], json({{"type", "auto"}}));
  EXPECT_EQ(choice(R"("tool_choice":"required")")["tool_choice"], json({{"type", "any"}}));
  EXPECT_EQ(choice(R"("tool_choice":"none")")["tool_choice"], json({{"type", "none"}}));
  EXPECT_EQ(choice(R"("tool_choice":{"type":"function","function":{"name":"g"}},"parallel_tool_calls":false)")
                ["tool_choice"],
            json({{"type", "tool"}, {"name", "g"}, {"disable_parallel_tool_use", true}}));
  EXPECT_EQ(choice(R"("parallel_tool_calls":false)")["tool_choice"],
            json({{"type", "auto"}, {"disable_parallel_tool_use", true}}));
  EXPECT_FALSE(choice(R"("parallel_tool_calls":true)").contains("tool_choice"));
  const json allowed = choice(R"("tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required",
      "tools":[{"type":"function","function":{"name":"g"}}]}})");
  EXPECT_EQ(allowed["tool_choice"], json({{"type", "any"}}));
  ASSERT_EQ(allowed["tools"].size(), 1U);
  EXPECT_EQ(allowed["tools"][0]["name"], "g");
}

TEST(MessageBody, SettingsByTheirNames) {
  const NativeBody body =
      body_of(R"({"messages":[],"max_completion_tokens":9,"stop":["a","b"],"temperature":0.70,
      "top_p":0.5,"top_k":7,"user":"u","service_tier":"default","thinking":{"type":"enabled","budget_tokens":1024}})");
  EXPECT_EQ(json::parse(body.text),
            json::parse(R"({"model":"claude-x","max_tokens":9,"messages":[],"stop_sequences":["a","b"],
                "temperature":0.70,"top_p":0.5,"top_k":7,"metadata":{"user_id":"u"},"service_tier":"standard_only",
                "thinking":{"type":"enabled","budget_tokens":1024}})"));
  EXPECT_THAT(body.text, HasSubstr("0.70")) << "as it was written";
  EXPECT_THAT(body.ignored, IsEmpty());
  EXPECT_EQ(written(R"({"messages":[],"stop":"x","max_tokens":3})")["stop_sequences"], json({"x"}));
}

TEST(MessageBody, HowMuchToThinkAndInWhichForm) {
  const json body =
      written(R"({"messages":[],"reasoning_effort":"high","response_format":{"type":"json_schema",
      "json_schema":{"name":"n","strict":true,"schema":{"type":"object"}}}})");
  EXPECT_EQ(body["output_config"],
            json::parse(R"({"effort":"high","format":{"type":"json_schema","schema":{"type":"object"}}})"));
  EXPECT_EQ(body["thinking"], json({{"type", "adaptive"}}));
  const json none = written(R"({"messages":[],"reasoning_effort":"none","response_format":{"type":"text"}})");
  EXPECT_EQ(none["thinking"], json({{"type", "disabled"}}));
  EXPECT_FALSE(none.contains("output_config"));
}

TEST(MessageBody, WhatHasNoWordThereIsNamed) {
  const NativeBody body = body_of(
      R"({"messages":[{"role":"user","name":"ann","content":"x"},{"role":"user","name":"bob","content":"y"}],
      "seed":1,"frequency_penalty":0.5,"presence_penalty":0,"logit_bias":{"1":2},"logprobs":true,"n":1,
      "store":false,"response_format":{"type":"json_object"},"stream_options":{"include_usage":true},"metadata":{},
      "permutation":{"trace":true},"of_tomorrow":1,"nothing":null})");
  EXPECT_THAT(body.ignored,
              testing::UnorderedElementsAre("messages[].name", "seed", "frequency_penalty", "logit_bias",
                                            "logprobs", "response_format", "of_tomorrow"));
  EXPECT_EQ(json::parse(body.text).size(), 3U) << body.text;
}

TEST(MessageBody, WhatWouldBeAnotherQuestionIsRefused) {
  const struct {
    const char* chat;
    const char* field;
  } kRefused[] = {
      {R"({"messages":[],"n":2})", "n"},
      {R"({"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]})",
       "messages[0].content[0].type"},
      {R"({"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]})",
       "messages[0].content[0]"},
      {R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x,y"}}]}]})",
       "messages[0].content[0]"},
      {R"({"messages":[{"role":"function","content":"x"}]})", "messages[0].role"},
      {R"({"messages":[{"role":"user","content":7}]})", "messages[0].content"},
      {R"({"messages":[7]})", "messages[0]"},
      {R"({"messages":[{"role":"assistant","tool_calls":[{"type":"custom","custom":{"name":"c"}}]}]})",
       "messages[0].tool_calls[0]"},
      {R"({"messages":[],"tools":[{"type":"function","function":{}}]})", "tools[0].function.name"}};
  for (const auto& [chat, field] : kRefused) {
    const auto body = message_body(chat, options(), false);
    ASSERT_FALSE(body) << chat;
    EXPECT_EQ(body.error().code, base::Code::kInvalidArgument) << chat;
    EXPECT_EQ(body.error().field, field) << chat;
  }
}

}  // namespace
}  // namespace pmt::upstream
