#include "inference/structured_output.h"

#include <gmock/gmock.h>

#include "llm/sinks.h"

namespace pmt::inference {
namespace {

using json = nlohmann::json;
using ::testing::HasSubstr;

llm::Request request(const char* tools, json choice = {}, json format = {}) {
  llm::Request out;
  out.messages.push_back({.role = "user", .content = "hi", .name = {}, .tool_calls = {}, .tool_call_id = {}});
  if (tools != nullptr) out.tools = json::parse(tools);
  out.tool_choice = std::move(choice);
  out.response_format = std::move(format);
  return out;
}

constexpr char kWeather[] =
    R"([{"type":"function","function":{"name":"weather","description":"of a city","parameters":{"type":"object",
        "properties":{"city":{"type":"string"}},"required":["city"]}}}])";

TEST(StructuredOutput, NothingAskedNothingDone) {
  for (const auto& format : {json(), json{{"type", "text"}}}) {
    const auto out = structured_output(request(nullptr, {}, format));
    ASSERT_TRUE(out);
    EXPECT_EQ(out->grammar, "");
    EXPECT_FALSE(out->calls);
  }
  const auto none = structured_output(request(kWeather, "none"));
  ASSERT_TRUE(none);
  EXPECT_EQ(none->grammar, "");
}

TEST(StructuredOutput, ASchemaBecomesAGrammar) {
  const auto object = structured_output(request(nullptr, {}, {{"type", "json_object"}}));
  ASSERT_TRUE(object) << object.error().message;
  EXPECT_THAT(object->grammar, HasSubstr("root ::="));
  const json schema = {
      {"type", "object"}, {"properties", {{"age", {{"type", "integer"}}}}}, {"required", {"age"}}};
  const auto exact = structured_output(
      request(nullptr, {}, {{"type", "json_schema"}, {"json_schema", {{"name", "p"}, {"schema", schema}}}}));
  ASSERT_TRUE(exact) << exact.error().message;
  EXPECT_THAT(exact->grammar, HasSubstr("age"));
}

TEST(StructuredOutput, ToolsAreNamedAndTheirCallsHaveAForm) {
  const auto may = structured_output(request(kWeather));
  ASSERT_TRUE(may) << may.error().message;
  EXPECT_TRUE(may->calls);
  EXPECT_THAT(may->instruction, HasSubstr("weather"));
  EXPECT_THAT(may->grammar, HasSubstr("free"));
  const auto must = structured_output(request(kWeather, "required"));
  ASSERT_TRUE(must);
  EXPECT_THAT(must->grammar, HasSubstr("root ::= tagged"));
  EXPECT_EQ(must->grammar.find("free"), std::string::npos);
  const auto both = structured_output(request(kWeather, "auto", {{"type", "json_object"}}));
  ASSERT_TRUE(both) << both.error().message;
  EXPECT_TRUE(both->bare);
}

TEST(StructuredOutput, MistakesNameTheirField) {
  const json named = {{"type", "function"}, {"function", {{"name", "other"}}}};
  const std::pair<llm::Request, const char*> cases[] = {
      {request(R"([{"type":"code_interpreter"}])"), "tools[0].type"},
      {request(R"([{"type":"function"}])"), "tools[0].function.name"},
      {request(R"([{"type":"function","function":{"name":"f","parameters":3}}])"),
       "tools[0].function.parameters"},
      {request(nullptr, "required"), "tool_choice"},
      {request(kWeather, 3), "tool_choice"},
      {request(kWeather, named), "tool_choice.function.name"},
      {request(nullptr, {}, {{"type", "xml"}}), "response_format.type"},
      {request(nullptr, {}, {{"type", "json_schema"}}), "response_format.json_schema.schema"}};
  for (const auto& [bad, field] : cases) {
    const auto out = structured_output(bad);
    ASSERT_FALSE(out) << field;
    EXPECT_EQ(out.error().field, field);
    EXPECT_EQ(out.error().code, base::Code::kInvalidArgument);
  }
}

TEST(StructuredOutput, EarlierCallsAndResultsAreText) {
  llm::Request r = request(kWeather);
  r.messages.push_back(
      {.role = "assistant",
       .content = "",
       .name = {},
       .tool_calls = json::parse(
           R"([{"id":"c","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Oslo\"}"}}])"),
       .tool_call_id = {}});
  r.messages.push_back(
      {.role = "tool", .content = "rain", .name = {}, .tool_calls = {}, .tool_call_id = "c"});
  const auto messages = chat_messages(r, "rules");
  ASSERT_EQ(messages.size(), 4U);
  EXPECT_EQ(messages[0].role, "system");
  EXPECT_EQ(messages[0].content, "rules");
  EXPECT_EQ(messages[2].content,
            "<tool_call>\n{\"arguments\":{\"city\":\"Oslo\"},\"name\":\"weather\"}\n</tool_call>");
  EXPECT_EQ(messages[3].role, "user");
  EXPECT_THAT(messages[3].content, HasSubstr("rain"));
}

struct Said {
  std::string text;
  llm::ChoiceEnd end;
};

Said through_sink(const std::vector<std::string>& pieces, bool bare = false) {
  auto inner = std::make_shared<llm::CollectingSink>();
  const auto sink = make_tool_call_sink(inner, "r1", bare);
  sink->on_event(llm::Started{.model = "m", .created_unix_s = 1, .cache = {}});
  for (const auto& piece : pieces) sink->on_event(llm::Delta{.choice = 0, .text = piece, .logprobs = {}});
  sink->on_event(llm::ChoiceEnd{});
  sink->on_event(llm::Done{});
  const auto events = inner->wait();
  return {llm::text_of(events), std::get<llm::ChoiceEnd>(events[events.size() - 2])};
}

TEST(ToolCallSink, ACallIsNoText) {
  const Said said = through_sink(
      {"<tool", "_call>\n{\"name\": \"weather\", \"argu", "ments\": {\"city\": \"Oslo\"}}\n</tool_call>"});
  EXPECT_EQ(said.text, "");
  EXPECT_EQ(said.end.reason, llm::FinishReason::kToolCalls);
  ASSERT_EQ(said.end.tool_calls.size(), 1U);
  EXPECT_EQ(said.end.tool_calls[0]["function"]["name"], "weather");
  EXPECT_EQ(json::parse(said.end.tool_calls[0]["function"]["arguments"].get<std::string>()),
            json({{"city", "Oslo"}}));
  EXPECT_THAT(said.end.tool_calls[0]["id"].get<std::string>(), testing::StartsWith("call_"));
}

TEST(ToolCallSink, SeveralCalls) {
  const Said said = through_sink({"<tool_call>{\"name\":\"a\",\"arguments\":{}}</tool_call>\n",
                                  "<tool_call>{\"name\":\"b\",\"arguments\":{}}</tool_call>"});
  ASSERT_EQ(said.end.tool_calls.size(), 2U);
  EXPECT_NE(said.end.tool_calls[0]["id"], said.end.tool_calls[1]["id"]);
}

TEST(ToolCallSink, TextPassesThrough) {
  for (const std::vector<std::string>& pieces :
       {std::vector<std::string>{"Hello ", "there"}, {"<", "b>bold"}, {"<tool_call>{\"cut"}, {"<tool"}}) {
    std::string whole;
    for (const auto& piece : pieces) whole += piece;
    const Said said = through_sink(pieces);
    EXPECT_EQ(said.text, whole);
    EXPECT_EQ(said.end.reason, llm::FinishReason::kStop);
    EXPECT_TRUE(said.end.tool_calls.is_null());
  }
  EXPECT_EQ(through_sink({"{\"a\":1}"}, true).text, "{\"a\":1}");
  EXPECT_EQ(through_sink({"{\"name\":\"f\",\"arguments\":{}}"}, true).end.reason,
            llm::FinishReason::kToolCalls);
}

}  // namespace
}  // namespace pmt::inference
