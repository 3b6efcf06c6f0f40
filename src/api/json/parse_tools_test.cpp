#include "api/json/parse_tools.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "api/json/parse.h"

namespace pmt::api {
namespace {

base::Result<CompletionCall> parse(const std::string& members) {
  return parse_completion(llm::Endpoint::kChat,
                          R"({"model":"m","messages":[{"role":"user","content":"hi"}],)" + members + "}", {});
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
            json),
        {});
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

TEST(ParseTools, SomeToolsMayBeAllowed) {
  const auto choice = parsed(R"("tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required",
      "tools": [{"type": "function", "function": {"name": "a"}}, {"type": "function", "function": {"name": "b"}}]}})")
                          .tool_choice;
  EXPECT_EQ(choice.kind, llm::ToolChoice::Kind::kRequired);
  EXPECT_EQ(choice.allowed, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(
      refused_at(
          R"("tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function"}]}})"),
      "tool_choice.allowed_tools.tools[0].function");
}

TEST(ParseTools, StrictIsRead) {
  const llm::Request r = parsed(
      R"("tools": [{"type": "function", "function": {"name": "f", "strict": true}}],
         "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": true}})");
  EXPECT_TRUE(r.tools[0].function.strict);
  EXPECT_TRUE(r.response_format.strict);
}

TEST(ParseOtherServers, FormsLengthsAndSampling) {
  using Form = llm::ResponseFormat::Kind;
  const llm::Request r = parsed(
      R"("guided_choice": ["a", "b"], "min_tokens": 3, "ignore_eos": true, "stop_token_ids": [5, 7], "repetition_penalty": 1.25,
         "typical_p": 0.5, "xtc_probability": 0.5, "dry_multiplier": 0.75, "dry_sequence_breakers": ["x"], "parallel_tool_calls": false)");
  EXPECT_EQ(r.response_format.kind, Form::kChoice);
  EXPECT_EQ(r.response_format.choices, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(r.response_format.field, "guided_choice");
  EXPECT_EQ(r.min_tokens, 3);
  EXPECT_TRUE(r.ignore_eos);
  EXPECT_EQ(r.stop_token_ids, (std::vector<std::int32_t>{5, 7}));
  EXPECT_EQ(r.sampling.repetition_penalty, 1.25F);
  EXPECT_EQ(r.sampling.dry.multiplier, 0.75F);
  EXPECT_EQ(r.sampling.dry.breakers, std::vector<std::string>{"x"});
  EXPECT_FALSE(r.parallel_tool_calls);
  EXPECT_TRUE(r.ignored.empty());
  EXPECT_NE(r.other_options.find(R"("guided_choice":["a","b"])"), std::string::npos);
  EXPECT_EQ(parsed(R"("n": 1)").other_options, "");
  EXPECT_EQ(parsed(R"("min_tokens": 1, "ignore_eos": true)").other_options,
            parsed(R"("ignore_eos": true, "min_tokens": 1)").other_options);
}

TEST(ParseOtherServers, AFormKnowsTheMemberThatAsksForIt) {
  const auto field = [](const std::string& members) { return parsed(members).response_format.field; };
  EXPECT_EQ(field(R"("guided_json": {})"), "guided_json");
  EXPECT_EQ(field(R"("guided_regex": "a")"), "guided_regex");
  EXPECT_EQ(field(R"("guided_grammar": "root ::= \"a\"")"), "guided_grammar");
  EXPECT_EQ(field(R"("grammar": "root ::= \"a\"")"), "grammar");
  EXPECT_EQ(field(R"("json_schema": {})"), "json_schema");
  EXPECT_EQ(field(R"("structured_outputs": {"json": {}})"), "structured_outputs.json");
  EXPECT_EQ(field(R"("structured_outputs": {"regex": "a"})"), "structured_outputs.regex");
  EXPECT_EQ(field(R"("structured_outputs": {"choice": ["a"]})"), "structured_outputs.choice");
  EXPECT_EQ(field(R"("structured_outputs": {"grammar": "root ::= \"a\""})"), "structured_outputs.grammar");
  EXPECT_EQ(
      field(R"("response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}})"),
      "response_format.json_schema.schema");
  EXPECT_EQ(field(R"("response_format": {"type": "json_schema", "schema": {}})"), "response_format.schema");
  EXPECT_EQ(field(R"("response_format": {"type": "json_schema"})"), "response_format.json_schema");
  EXPECT_EQ(field(R"("response_format": {"type": "json_object"})"), "");
}

TEST(ParseOtherServers, ASchemaMayBeAText) {
  EXPECT_TRUE(parsed(R"("guided_json": "{}")").response_format.schema_is_text);
  EXPECT_FALSE(parsed(R"("guided_json": {})").response_format.schema_is_text);
  EXPECT_EQ(refused_at(R"("guided_json": "")"), "guided_json");
  EXPECT_EQ(refused_at(R"("json_schema": "")"), "json_schema");
  EXPECT_EQ(refused_at(R"("structured_outputs": {"json": ""})"), "structured_outputs.json");
  EXPECT_EQ(refused_at(R"("structured_outputs": {"regex": "a", "json": {}})"), "structured_outputs.json");
}

TEST(ParseOtherServers, WhatNobodyFollowsIsRefusedOrNamed) {
  EXPECT_EQ(parsed(R"("user": "u", "metadata": {}, "brand_new": 1, "store": null)").ignored,
            (std::vector<std::string>{"user", "metadata", "brand_new"}));
  EXPECT_EQ(parsed(R"("best_of": 3, "echo": true, "n": 1)").ignored,
            (std::vector<std::string>{"best_of", "echo"}))
      << "of POST /v1/completions";
  EXPECT_EQ(refused_at(R"("mirostat": 2)"), "mirostat");
  EXPECT_EQ(refused_at(R"("mirostat": 0, "use_beam_search": false, "bad_words": [])"), "");
  EXPECT_EQ(refused_at(R"("modalities": ["text"])"), "");
  EXPECT_EQ(refused_at(R"("modalities": ["audio"])"), "modalities");
  EXPECT_EQ(refused_at(R"("grammar": "root ::= \"a\"", "guided_regex": "a")"), "guided_regex");
  EXPECT_EQ(refused_at(R"("guided_choice": [1])"), "guided_choice[0]");
  EXPECT_EQ(refused_at(R"("json_schema": 5)"), "json_schema");
  EXPECT_EQ(refused_at(R"("repetition_penalty": 0)"), "repetition_penalty");
  EXPECT_EQ(refused_at(R"("repeat_penalty": 1e-320)"), "repeat_penalty") << "by the name that was sent";
}

}  // namespace
}  // namespace pmt::api
