#include "upstream/responses/response_body.h"

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
  out.model = "gpt-x";
  return out;
}

NativeBody body_of(const std::string& chat, bool stream = false) {
  auto body = response_body(chat, options(), stream);
  if (!body) ADD_FAILURE() << body.error().field << ": " << body.error().message;
  return body ? *std::move(body) : NativeBody{};
}
json written(const std::string& chat) {
  return json::parse(body_of(chat).text);
}
/// The input of a chat of these messages.
json input(const std::string& messages) {
  return written(R"({"messages":[)" + messages + "]}")["input"];
}

TEST(ResponseBody, AQuestion) {
  EXPECT_EQ(body_of(R"({"model":"p/m","messages":[{"role":"user","content":"hi"}]})").text,
            R"({"model":"gpt-x","input":[{"role":"user","content":"hi"}],"store":false})")
      << "nothing is stored there unless it was asked for";
  EXPECT_EQ(json::parse(body_of(R"({"messages":[],"store":true})", true).text),
            json::parse(R"({"model":"gpt-x","input":[],"store":true,"stream":true})"));
}

TEST(ResponseBody, MessagesAndParts) {
  EXPECT_EQ(
      input(R"({"role":"system","content":"Be brief."},{"role":"developer","content":"And kind."},
      {"role":"user","content":[{"type":"text","text":"see"},
        {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO","detail":"low"}},
        {"type":"image_url","image_url":{"url":"https://x.example/a.png"}},
        {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBE"}}]},
      {"role":"assistant","content":[{"type":"text","text":"seen"}]},
      {"role":"assistant","content":null,"refusal":"No."})"),
      json::parse(R"([{"role":"system","content":"Be brief."},{"role":"developer","content":"And kind."},
      {"role":"user","content":[{"type":"input_text","text":"see"},
        {"type":"input_image","image_url":"data:image/png;base64,iVBO","detail":"low"},
        {"type":"input_image","image_url":"https://x.example/a.png","detail":"auto"},
        {"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,JVBE"}]},
      {"role":"assistant","content":[{"type":"output_text","text":"seen"}]},
      {"role":"assistant","content":[{"type":"refusal","refusal":"No."}]}])"));
}

TEST(ResponseBody, CallsAndTheirResultsKeepTheirIds) {
  EXPECT_EQ(input(R"({"role":"assistant","content":"I look.","tool_calls":[
        {"id":"t1","type":"function","function":{"name":"weather","arguments":"{\"z\":1.50,\"a\":2}"}},
        {"id":"t2","type":"function","function":{"name":"now","arguments":"{}"}}]},
      {"role":"tool","tool_call_id":"t1","content":"-3"},
      {"role":"tool","tool_call_id":"t2","content":[{"type":"text","text":"noon"}]})"),
            json::parse(R"([{"role":"assistant","content":"I look."},
      {"type":"function_call","call_id":"t1","name":"weather","arguments":"{\"z\":1.50,\"a\":2}"},
      {"type":"function_call","call_id":"t2","name":"now","arguments":"{}"},
      {"type":"function_call_output","call_id":"t1","output":"-3"},
      {"type":"function_call_output","call_id":"t2","output":[{"type":"input_text","text":"noon"}]}])"));
}

TEST(ResponseBody, EncryptedReasoningGoesBackAsItCame) {
  const std::string item = R"({"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"gAAA"})";
  const NativeBody body = body_of(
      R"({"messages":[{"role":"assistant","content":"4","reasoning_content":"hm","reasoning_items":[)" +
      item + "]}]}");
  const json sent = json::parse(body.text);
  EXPECT_EQ(sent["input"][0], json::parse(item));
  EXPECT_EQ(sent["input"][1]["content"], "4");
  EXPECT_EQ(sent["include"], json({"reasoning.encrypted_content"})) << "it is to be gone on from again";
  EXPECT_THAT(body.ignored, IsEmpty());
  EXPECT_THAT(
      body_of(R"({"messages":[{"role":"assistant","content":"4","reasoning_content":"hm"}]})").ignored,
      ElementsAre("messages[].reasoning_content"));
}

TEST(ResponseBody, ToolsAndEachFormOfAChoice) {
  const auto with = [](const std::string& more) {
    return written(R"({"messages":[],"tools":[
        {"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true}},
        {"type":"function","function":{"name":"g"}},{"type":"web_search"}])" +
                   more + "}");
  };
  const json body = with("");
  EXPECT_EQ(body["tools"], json::parse(R"([
      {"type":"function","name":"f","description":"d","parameters":{"type":"object"},"strict":true},
      {"type":"function","name":"g","parameters":{"type":"object","properties":{}},"strict":false},
      {"type":"web_search"}])"))
      << "strict is on there where nothing is said";
  EXPECT_FALSE(body.contains("tool_choice"));
  for (const char* word : {"auto", "required", "none"})
    EXPECT_EQ(with(",\"tool_choice\":\"" + std::string(word) + "\"")["tool_choice"], word);
  EXPECT_EQ(with(R"(,"tool_choice":{"type":"function","function":{"name":"g"}})")["tool_choice"],
            json({{"type", "function"}, {"name", "g"}}));
  EXPECT_EQ(
      with(R"(,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required",
                     "tools":[{"type":"function","function":{"name":"g"}}]}})")["tool_choice"],
      json::parse(R"({"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"g"}]})"));
  EXPECT_EQ(with(R"(,"parallel_tool_calls":false)")["parallel_tool_calls"], false);
}

TEST(ResponseBody, SettingsByTheirNames) {
  const NativeBody body = body_of(R"({"messages":[],"max_tokens":9,"temperature":0.70,"top_p":0.5,"user":"u",
      "metadata":{"a":"b"},"logprobs":true,"top_logprobs":2,"reasoning_effort":"high","verbosity":"low",
      "prompt_cache_key":"k","response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}})");
  EXPECT_EQ(json::parse(body.text), json::parse(R"({"model":"gpt-x","input":[],"max_output_tokens":9,
      "text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"},"strict":false},"verbosity":"low"},
      "reasoning":{"effort":"high"},"include":["message.output_text.logprobs","reasoning.encrypted_content"],
      "store":false,"temperature":0.70,"top_p":0.5,"user":"u","metadata":{"a":"b"},"top_logprobs":2,
      "prompt_cache_key":"k"})"));
  EXPECT_THAT(body.text, HasSubstr("0.70")) << "as it was written";
  EXPECT_THAT(body.ignored, IsEmpty());
  EXPECT_EQ(written(R"({"messages":[],"response_format":{"type":"json_object"}})")["text"]["format"],
            json({{"type", "json_object"}}));
}

TEST(ResponseBody, WhatHasNoWordThereIsNamed) {
  const NativeBody body = body_of(R"({"messages":[{"role":"user","name":"ann",
        "content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}],
      "seed":1,"stop":["END"],"top_k":7,"frequency_penalty":0.5,"presence_penalty":0,"n":1,"of_tomorrow":1})");
  EXPECT_THAT(body.ignored, testing::UnorderedElementsAre("messages[].name", "cache_control", "seed", "stop",
                                                          "top_k", "frequency_penalty", "of_tomorrow"));
}

TEST(ResponseBody, WhatWouldBeAnotherQuestionIsRefused) {
  const struct {
    const char* chat;
    const char* field;
  } kRefused[] = {
      {R"({"messages":[],"n":2})", "n"},
      {R"({"messages":[{"role":"user","content":[{"type":"input_audio"}]}]})", "messages[0].content[0].type"},
      {R"({"messages":[{"role":"function","content":"x"}]})", "messages[0].role"}};
  for (const auto& [chat, field] : kRefused) {
    const auto body = response_body(chat, options(), false);
    ASSERT_FALSE(body) << chat;
    EXPECT_EQ(body.error().field, field) << chat;
  }
}

}  // namespace
}  // namespace pmt::upstream
