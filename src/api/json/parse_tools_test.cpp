#include "api/json/parse_tools.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "api/json/parse.h"

namespace pmt::api {
namespace {

base::Result<CompletionCall> parse(const std::string& members) {
  return parse_completion(llm::Endpoint::kChat,
                          R"({"model":"m","messages":[{"role":"user","content":"hi"}],)" + members + "}");
}

llm::Request parsed(const std::string& members) {
  auto call = parse(members);
  if (!call) ADD_FAILURE() << call.error().field << ": " << call.error().message;
  return call ? call->request : llm::Request{};
}

/// The field that a refusal names; "" where it isn't refused.
std::string refused_at(const std::string& members) {
  const auto call = parse(members);
  return call ? "" : call.error().field;
}

TEST(ParseTools, AFunctionIsReadAndKeptAsWritten) {
  const llm::Request r = parsed(
      R"("tools": [ {"type": "function", "function": {"name": "f", "description": "d", "strict": null,
         "parameters": {"type": "object", "properties": {"z": {}, "a": {"minimum": 1.50}}}, "more": [1]}} ])");
  ASSERT_EQ(r.tools.size(), 1U);
  EXPECT_TRUE(r.tools[0].is_function());
  EXPECT_EQ(r.tools[0].function.name, "f");
  EXPECT_EQ(r.tools[0].function.description, "d");
  EXPECT_EQ(r.tools[0].function.parameters, R"({"type":"object","properties":{"z":{},"a":{"minimum":1.5}}})");
  EXPECT_NE(r.tools[0].sent.find(R"("more":[1])"), std::string::npos);
}

TEST(ParseTools, WhatOnlyAnUpstreamMayKnowIsKept) {
  const llm::Request r =
      parsed(R"("tools": [{"type": "custom", "custom": {"name": 1}}], "tool_choice": {"type": "any"},
                "response_format": {"type": "grammar", "value": [2]})");
  EXPECT_FALSE(r.tools[0].is_function());
  EXPECT_EQ(r.tools[0].sent, R"({"type":"custom","custom":{"name":1}})");
  EXPECT_EQ(r.tool_choice.kind, llm::ToolChoice::Kind::kOther);
  EXPECT_EQ(r.response_format.kind, llm::ResponseFormat::Kind::kOther);
  EXPECT_EQ(r.response_format.sent, R"({"type":"grammar","value":[2]})");
  EXPECT_EQ(parsed(R"("tool_choice": "any")").tool_choice.sent, R"("any")");
}

TEST(ParseTools, ChoicesAndFormats) {
  using Kind = llm::ToolChoice::Kind;
  EXPECT_EQ(parsed(R"("n": 1)").tool_choice.kind, Kind::kUnset);
  EXPECT_EQ(parsed(R"("tool_choice": "required")").tool_choice.kind, Kind::kRequired);
  const auto named = parsed(R"("tool_choice": {"type": "function", "function": {"name": "f"}})").tool_choice;
  EXPECT_EQ(named.kind, Kind::kFunction);
  EXPECT_EQ(named.function, "f");
  const auto schema = parsed(
      R"("response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"b": 1, "a": 2}}})");
  EXPECT_EQ(schema.response_format.schema, R"({"b":1,"a":2})");
  EXPECT_EQ(
      parsed(R"("response_format": {"type": "json_object", "schema": {"a": 2}})").response_format.schema,
      R"({"a":2})");
}

TEST(ParseTools, ArgumentsAreTextWhateverTheyHold) {
  const auto arguments = [](const std::string& json) {
    const auto call = parse_completion(
        llm::Endpoint::kChat,
        fmt::format(
            R"({{"model":"m","messages":[{{"role":"assistant","tool_calls":[{{"id":"c","type":"function",
                        "function":{{"name":"f","arguments":{}}}}}]}}]}})",
            json));
    return call ? call->request.messages[0].tool_calls[0].arguments : "refused: " + call.error().field;
  };
  EXPECT_EQ(arguments(R"("{\"b\": 1, \"a\": 2}")"), R"({"b": 1, "a": 2})");
  EXPECT_EQ(arguments(R"({"b": 1, "a": 2})"), R"({"b":1,"a":2})");
  EXPECT_EQ(arguments(R"("{")"), "{");
  EXPECT_EQ(arguments("null"), "");
  EXPECT_EQ(arguments("[1]"), "refused: messages[0].tool_calls[0].function.arguments");
  const std::string deep(200'000, '[');
  EXPECT_EQ(arguments("\"" + deep + "\""), "refused: messages[0].tool_calls[0].function.arguments");
}

TEST(ParseTools, EveryWrongTypeIsNamedWhereItStands) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("tools": {})", "tools"},
      {R"("tools": [3])", "tools[0]"},
      {R"("tools": [{"type": 3}])", "tools[0].type"},
      {R"("tools": [{"type": "function"}])", "tools[0].function"},
      {R"("tools": [{"type": "function", "function": []}])", "tools[0].function"},
      {R"("tools": [{"type": "function", "function": {}}])", "tools[0].function.name"},
      {R"("tools": [{"type": "function", "function": {"name": ""}}])", "tools[0].function.name"},
      {R"("tools": [{"type": "function", "function": {"name": {}}}])", "tools[0].function.name"},
      {R"("tools": [{"type": "function", "function": {"name": "f", "parameters": []}}])",
       "tools[0].function.parameters"},
      {R"("tools": [{"type": "function", "function": {"name": "f", "description": 1}}])",
       "tools[0].function.description"},
      {R"("tools": [{"type": "function", "function": {"name": "f", "strict": "yes"}}])",
       "tools[0].function.strict"},
      {R"("tool_choice": 3)", "tool_choice"},
      {R"("tool_choice": {})", "tool_choice.function"},
      {R"("tool_choice": {"type": "function", "function": "f"})", "tool_choice.function"},
      {R"("tool_choice": {"type": "function", "function": {"name": 1}})", "tool_choice.function.name"},
      {R"("tool_choice": {"type": []})", "tool_choice.type"},
      {R"("response_format": "json")", "response_format"},
      {R"("response_format": {"type": 1})", "response_format.type"},
      {R"("response_format": {"type": "json_schema", "json_schema": "x"})", "response_format.json_schema"},
      {R"("response_format": {"type": "json_schema", "json_schema": []})", "response_format.json_schema"},
      {R"("response_format": {"type": "json_schema", "json_schema": {"schema": true}})",
       "response_format.json_schema.schema"},
  };
  for (const auto& [members, field] : cases) EXPECT_EQ(refused_at(members), field) << members;
}

}  // namespace
}  // namespace pmt::api
