#include "inference/structured_output.h"

#include <gmock/gmock.h>

#include "llm/sinks.h"

namespace pmt::inference {
namespace {

using json = nlohmann::json;
using ::testing::HasSubstr;

llm::Tool function(const char* name, const char* parameters) {
  llm::Tool tool{.type = "function",
                 .function = {.name = name, .description = {}, .parameters = parameters},
                 .sent = {}};
  tool.sent = json{{"type", "function"}, {"function", {{"name", name}}}}.dump();
  return tool;
}

llm::Request request(std::vector<llm::Tool> tools, llm::ToolChoice choice = {},
                     llm::ResponseFormat format = {}) {
  llm::Request out;
  out.messages.push_back({.role = "user", .content = "hi", .name = {}, .tool_calls = {}, .tool_call_id = {}});
  out.tools = std::move(tools);
  out.tool_choice = std::move(choice);
  out.response_format = std::move(format);
  return out;
}

using Kind = llm::ToolChoice::Kind;
using Form = llm::ResponseFormat::Kind;
const llm::ToolChoice kNoCall = {.kind = Kind::kNone, .function = {}, .sent = {}};
const llm::ToolChoice kRequired = {.kind = Kind::kRequired, .function = {}, .sent = {}};
const llm::ResponseFormat kJsonObject = {.kind = Form::kJsonObject, .schema = {}, .sent = {}};
const llm::Tool kWeather =
    function("weather", R"({"type":"object","properties":{"when":{"type":"string"},"city":{"type":"string"}},
                   "required":["when","city"]})");

TEST(StructuredOutput, NothingAskedNothingDone) {
  for (const auto kind : {Form::kUnset, Form::kText}) {
    const auto out = structured_output(request({}, {}, {.kind = kind, .schema = {}, .sent = {}}));
    ASSERT_TRUE(out);
    EXPECT_EQ(out->grammar, "");
    EXPECT_FALSE(out->calls);
  }
  const auto none = structured_output(request({kWeather}, kNoCall));
  ASSERT_TRUE(none);
  EXPECT_EQ(none->grammar, "");
}

TEST(StructuredOutput, ASchemaBecomesAGrammar) {
  const auto object = structured_output(request({}, {}, kJsonObject));
  ASSERT_TRUE(object) << object.error().message;
  EXPECT_THAT(object->grammar, HasSubstr("root ::="));
  const std::string schema =
      R"({"type":"object","properties":{"why":{"type":"string"},"age":{"type":"integer"}},"required":["why","age"]})";
  const auto exact =
      structured_output(request({}, {}, {.kind = Form::kJsonSchema, .schema = schema, .sent = {}}));
  ASSERT_TRUE(exact) << exact.error().message;
  const std::string root = exact->grammar.substr(exact->grammar.find("root ::="));
  EXPECT_LT(root.find("why"), root.find("age")) << "in the schema's order";
  const auto loose =
      structured_output(request({}, {}, {.kind = Form::kJsonObject, .schema = schema, .sent = {}}));
  ASSERT_TRUE(loose);
  EXPECT_EQ(loose->grammar, exact->grammar);
}

TEST(StructuredOutput, ToolsAreNamedAndTheirCallsHaveAForm) {
  const auto may = structured_output(request({kWeather}));
  ASSERT_TRUE(may) << may.error().message;
  EXPECT_TRUE(may->calls);
  EXPECT_THAT(may->instruction, HasSubstr("weather"));
  EXPECT_THAT(may->grammar, HasSubstr("free"));
  const auto must = structured_output(request({kWeather}, kRequired));
  ASSERT_TRUE(must);
  EXPECT_THAT(must->grammar, HasSubstr("root ::= tagged"));
  EXPECT_EQ(must->grammar.find("free"), std::string::npos);
  const auto both = structured_output(request({kWeather}, {}, kJsonObject));
  ASSERT_TRUE(both) << both.error().message;
  EXPECT_TRUE(both->bare);
}

TEST(StructuredOutput, MistakesNameTheirField) {
  const llm::ToolChoice named = {.kind = Kind::kFunction, .function = "other", .sent = {}};
  const llm::ToolChoice odd = {.kind = Kind::kOther, .function = {}, .sent = "3"};
  llm::Request custom_call = request({});
  custom_call.messages[0].tool_calls = {{.name = {}, .arguments = {}, .sent = R"({"type":"custom"})"}};
  std::string values;
  for (int i = 0; i < 5'000; ++i) values += (i == 0 ? "" : ",") + std::to_string(i);
  const std::string large = R"({"enum":[)" + values + "]}";
  const std::pair<llm::Request, const char*> cases[] = {
      {request({kWeather, function("many", large.c_str())}), "tools[1].function.parameters"},
      {request({}, {}, {.kind = Form::kJsonSchema, .schema = large, .sent = {}}),
       "response_format.json_schema.schema"},
      {request({}, {}, {.kind = Form::kJsonObject, .schema = large, .sent = {}}), "response_format.schema"},
      {request({{.type = "code_interpreter", .function = {}, .sent = {}}}), "tools[0].type"},
      {request({}, kRequired), "tool_choice"},
      {request({kWeather}, odd), "tool_choice"},
      {request({kWeather}, named), "tool_choice.function.name"},
      {request({}, {}, {.kind = Form::kOther, .schema = {}, .sent = {}}), "response_format.type"},
      {request({}, {}, {.kind = Form::kJsonSchema, .schema = {}, .sent = {}}),
       "response_format.json_schema.schema"},
      {custom_call, "messages[0].tool_calls[0].function"}};
  for (const auto& [bad, field] : cases) {
    const auto out = structured_output(bad);
    ASSERT_FALSE(out) << field;
    EXPECT_EQ(out.error().field, field);
    EXPECT_EQ(out.error().code, base::Code::kInvalidArgument);
  }
}

TEST(StructuredOutput, EarlierCallsAndResultsAreText) {
  llm::Request r = request({kWeather});
  r.messages.push_back({.role = "assistant",
                        .content = "",
                        .name = {},
                        .tool_calls = {{"weather", R"({"when": 1.50, "city":"Oslo"})", ""},
                                       {"weather", "{cut", ""},
                                       {"now", "", ""}},
                        .tool_call_id = {}});
  r.messages.push_back(
      {.role = "tool", .content = "rain", .name = {}, .tool_calls = {}, .tool_call_id = "c"});
  const auto messages = chat_messages(r, "rules");
  ASSERT_EQ(messages.size(), 4U);
  EXPECT_EQ(messages[0].role, "system");
  EXPECT_EQ(messages[0].content, "rules");
  EXPECT_EQ(messages[2].content,
            "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"when\": 1.50, "
            "\"city\":\"Oslo\"}}\n</tool_call>\n"
            "<tool_call>\n{\"name\": \"weather\", \"arguments\": \"{cut\"}\n</tool_call>\n"
            "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>");
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
  EXPECT_EQ(json::parse(said.end.tool_calls[0])["function"]["name"], "weather");
  EXPECT_EQ(json::parse(json::parse(said.end.tool_calls[0])["function"]["arguments"].get<std::string>()),
            json({{"city", "Oslo"}}));
  EXPECT_THAT(json::parse(said.end.tool_calls[0])["id"].get<std::string>(), testing::StartsWith("call_"));
}

TEST(ToolCallSink, ArgumentsAreWhatTheModelWrote) {
  const Said said =
      through_sink({"<tool_call>{\"name\":\"f\",\"arguments\": {\"z\":1.50,\"a\":[ ]} }</tool_call>"});
  ASSERT_EQ(said.end.tool_calls.size(), 1U);
  EXPECT_EQ(json::parse(said.end.tool_calls[0])["function"]["arguments"], "{\"z\":1.50,\"a\":[ ]}");
}

TEST(ToolCallSink, WhatNestsTooDeepIsText) {
  const std::string deep(200'000, '[');
  const std::string text = "<tool_call>{\"name\":\"f\",\"arguments\":" + deep + "</tool_call>";
  EXPECT_EQ(through_sink({text}).text, text);
}

TEST(ToolCallSink, SeveralCalls) {
  const Said said = through_sink({"<tool_call>{\"name\":\"a\",\"arguments\":{}}</tool_call>\n",
                                  "<tool_call>{\"name\":\"b\",\"arguments\":{}}</tool_call>"});
  ASSERT_EQ(said.end.tool_calls.size(), 2U);
  EXPECT_NE(json::parse(said.end.tool_calls[0])["id"], json::parse(said.end.tool_calls[1])["id"]);
}

TEST(ToolCallSink, TextPassesThrough) {
  for (const std::vector<std::string>& pieces :
       {std::vector<std::string>{"Hello ", "there"}, {"<", "b>bold"}, {"<tool_call>{\"cut"}, {"<tool"}}) {
    std::string whole;
    for (const auto& piece : pieces) whole += piece;
    const Said said = through_sink(pieces);
    EXPECT_EQ(said.text, whole);
    EXPECT_EQ(said.end.reason, llm::FinishReason::kStop);
    EXPECT_TRUE(said.end.tool_calls.empty());
  }
  EXPECT_EQ(through_sink({"{\"a\":1}"}, true).text, "{\"a\":1}");
  EXPECT_EQ(through_sink({"{\"name\":\"f\",\"arguments\":{}}"}, true).end.reason,
            llm::FinishReason::kToolCalls);
}

}  // namespace
}  // namespace pmt::inference
