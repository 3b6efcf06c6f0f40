#include "inference/structured_output.h"
#include "inference/tool_call_sink.h"

#include <gmock/gmock.h>

#include "inference/local_model.h"
#include "llm/sinks.h"
#include "model/testing/tiny_model.h"
#include "model/testing/writes.h"

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

/// Whether the grammar lets all of this text be written, and end there.
bool writes(const std::string& gbnf, const std::string& text) {
  return model::testing::writes(gbnf, text);
}

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
  EXPECT_TRUE(writes(exact->grammar, R"({"why": "so", "age": 3})"));
  EXPECT_FALSE(writes(exact->grammar, R"({"age": 3, "why": "so"})")) << "in the schema's order";
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
  EXPECT_THAT(may->grammar, HasSubstr("root ::= any-0"));
  EXPECT_EQ(may->rules.names, std::vector<std::string>{"weather"});
  const auto must = structured_output(request({kWeather}, kRequired));
  ASSERT_TRUE(must);
  EXPECT_THAT(must->grammar, HasSubstr("root ::= tagged"));
  EXPECT_EQ(must->grammar.find("any-0"), std::string::npos);
  const auto both = structured_output(request({kWeather}, {}, kJsonObject));
  ASSERT_TRUE(both) << both.error().message;
  EXPECT_TRUE(both->calls);
  EXPECT_THAT(both->grammar, HasSubstr("root ::= tagged"));
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
  std::vector<llm::CallPiece> pieces;
};

json call_of(const llm::ChoiceEnd& end, std::size_t i) {
  return json::parse(end.tool_calls.at(i));
}

Said through_sink(const std::vector<std::string>& pieces,
                  llm::FinishReason reason = llm::FinishReason::kStop) {
  auto inner = std::make_shared<llm::CollectingSink>();
  const auto sink = make_tool_call_sink(inner, "r1", {.names = {"weather", "f"}});
  sink->on_event(llm::Started{.model = "m", .created_unix_s = 1, .cache = {}});
  for (const auto& piece : pieces) sink->on_event(llm::Delta{.choice = 0, .text = piece, .logprobs = {}});
  sink->on_event(llm::ChoiceEnd{.choice = 0, .reason = reason, .tool_calls = {}});
  sink->on_event(llm::Done{});
  const auto events = inner->wait();
  Said out{llm::text_of(events), std::get<llm::ChoiceEnd>(events[events.size() - 2]), {}};
  for (const llm::Event& event : events) {
    if (const auto* delta = std::get_if<llm::Delta>(&event))
      out.pieces.insert(out.pieces.end(), delta->calls.begin(), delta->calls.end());
  }
  return out;
}

TEST(ToolCallSink, ACallIsToldInPiecesAndWholeAtItsEnd) {
  const Said said = through_sink({"<tool", "_call>\n{\"name\": \"weather\", \"argu",
                                  "ments\": {\"city\": ", "\"Oslo\"}}\n</tool_call>",
                                  "\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>"});
  EXPECT_EQ(said.text, "");
  EXPECT_EQ(said.end.reason, llm::FinishReason::kToolCalls);
  ASSERT_EQ(said.end.tool_calls.size(), 2U);
  const json first = call_of(said.end, 0);
  EXPECT_EQ(first["function"]["name"], "weather");
  EXPECT_EQ(first["function"]["arguments"], "{\"city\": \"Oslo\"}");
  EXPECT_NE(first["id"], call_of(said.end, 1)["id"]);
  ASSERT_GE(said.pieces.size(), 3U);
  EXPECT_EQ(said.pieces[0].id, first["id"]);
  EXPECT_EQ(said.pieces[0].name, "weather");
  EXPECT_EQ(said.pieces[1].id, "");
  EXPECT_EQ(said.pieces.back().index, 1);
}

TEST(ToolCallSink, TextPassesThrough) {
  for (const std::vector<std::string>& pieces :
       {std::vector<std::string>{"Hello ", "there"}, {"<", "b>bold"}, {"{\"a\":1}"}}) {
    std::string whole;
    for (const auto& piece : pieces) whole += piece;
    const Said said = through_sink(pieces);
    EXPECT_EQ(said.text, whole);
    EXPECT_EQ(said.end.reason, llm::FinishReason::kStop);
    EXPECT_TRUE(said.end.tool_calls.empty());
  }
}

TEST(ToolCallSink, ACallThatTheLimitCutsKeepsTheLimitAsItsReason) {
  const Said said =
      through_sink({"<tool_call>{\"name\":\"f\",\"arguments\":{\"a\": [1"}, llm::FinishReason::kLength);
  EXPECT_EQ(said.text, "");
  EXPECT_EQ(said.end.reason, llm::FinishReason::kLength);
  ASSERT_EQ(said.end.tool_calls.size(), 1U);
  EXPECT_EQ(call_of(said.end, 0)["function"]["arguments"], "{\"a\": [1");
  EXPECT_TRUE(through_sink({"<tool_call>{\"na"}, llm::FinishReason::kLength).end.tool_calls.empty());
}

TEST(ToolCallSink, TextBesideANativeCallIsNoThinking) {
  // Calls as a list after a mark, as Mistral's models write them.
  constexpr char kList[] =
      "{%- for message in messages %}"
      "{%- if loop.last and tools and message.role == 'user' %}[AVAILABLE_TOOLS] {{ tools | tojson }}"
      "[/AVAILABLE_TOOLS]{% endif %}"
      "{%- if message.role == 'assistant' %}{% if message.tool_calls %}[TOOL_CALLS] ["
      "{% for call in message.tool_calls %}{\"name\": \"{{ call.function.name }}\", "
      "\"arguments\": {{ call.function.arguments | tojson }}}{% if not loop.last %}, {% endif %}{% endfor %}]"
      "{{ eos_token }}{% else %} {{ message.content }}{{ eos_token }}{% endif %}"
      "{%- else %}[INST] {{ message.content }}[/INST]{% endif %}{% endfor %}";
  const model::testing::TinyModel file({.tokenizer = true});
  const auto vocab = model::Vocab::load(file.path());
  ASSERT_TRUE(vocab) << vocab.error().message;
  const auto chat = model::NativeChat::create(**vocab, kList);
  ASSERT_NE(chat, nullptr);
  const std::vector<model::NativeMessage> messages = {{.message = {"user", "Oslo?"}}};
  const std::vector<model::NativeTool> tools = {{"weather", "of a city", R"({"type":"object"})"}};
  const auto prompt = chat->render({messages, tools});
  ASSERT_TRUE(prompt) << prompt.error().message;

  auto inner = std::make_shared<llm::CollectingSink>();
  const auto sink =
      make_native_call_sink(inner, "r1", {.names = {"weather"}, .thinking = true}, prompt->reader);
  sink->on_event(llm::Started{.model = "m", .created_unix_s = 1, .cache = {}});
  sink->on_event(
      llm::Delta{.choice = 0,
                 .text = R"(Let me see.[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Oslo"}}])",
                 .logprobs = {}});
  sink->on_event(llm::ChoiceEnd{.choice = 0, .reason = llm::FinishReason::kStop, .tool_calls = {}});
  sink->on_event(llm::Done{});
  const auto events = inner->wait();
  std::string thought;
  for (const llm::Event& event : events) {
    if (const auto* delta = std::get_if<llm::Delta>(&event)) thought += delta->reasoning;
  }
  EXPECT_EQ(thought, "");
  EXPECT_THAT(llm::text_of(events), HasSubstr("Let me see."));
  EXPECT_EQ(std::get<llm::ChoiceEnd>(events[events.size() - 2]).tool_calls.size(), 1U);
}

TEST(LocalModel, SamplingAloneIsNoForm) {
  const model::testing::TinyModel file({.tokenizer = true});
  LocalModelOptions options;
  options.name = "tiny";
  options.path = file.path();
  options.threads = 1;
  options.kv_bytes_max = std::size_t{8} << 20;
  const base::SystemClock clock;
  const auto model = LocalModel::load(options, clock);
  ASSERT_TRUE(model) << model.error().message;
  const auto forms_after = [&](llm::Request asked) {
    auto sink = std::make_shared<llm::CollectingSink>();
    (*model)->start(std::move(asked), sink, {});
    sink->wait();
    return (*model)->stats().forms;
  };
  llm::Request asked;
  asked.endpoint = llm::Endpoint::kCompletions;
  asked.prompt = "abab";
  asked.max_tokens = 4;
  asked.sampling.dry.multiplier = 0.8F;
  EXPECT_EQ(forms_after(asked), 0U);
  asked.response_format = {.kind = Form::kChoice, .schema = {}, .sent = {}};
  asked.response_format.choices = {"a"};
  EXPECT_EQ(forms_after(asked), 1U);
}

TEST(StructuredOutput, WhatCannotBeFollowedIsNamedOrRefused) {
  const char* const schema =
      R"({"type":"object","properties":{"id":{"type":"string","pattern":"^(?!1)a$"}},"required":["id"]})";
  llm::ResponseFormat format{.kind = Form::kJsonSchema, .schema = schema, .sent = {}};
  const auto loose = structured_output(request({}, {}, format));
  ASSERT_TRUE(loose) << loose.error().message;
  ASSERT_EQ(loose->unfollowed.size(), 1U);
  EXPECT_THAT(loose->unfollowed[0],
              testing::StartsWith("response_format.json_schema.schema.properties.id.pattern"));
  format.strict = true;
  const auto strict = structured_output(request({}, {}, format));
  ASSERT_FALSE(strict);
  EXPECT_EQ(strict.error().field, "response_format.json_schema.schema.properties.id.pattern");
  llm::Tool tool = function("save", schema);
  EXPECT_EQ(structured_output(request({tool}))->unfollowed.size(), 1U);
  tool.function.strict = true;
  EXPECT_EQ(structured_output(request({tool})).error().field,
            "tools[0].function.parameters.properties.id.pattern");
}

TEST(StructuredOutput, OtherServersForms) {
  const auto of = [](llm::ResponseFormat format) {
    return structured_output(request({}, {}, std::move(format)));
  };
  llm::ResponseFormat regex{.kind = Form::kRegex, .schema = {}, .sent = {}};
  regex.text = R"(\d{3}|no)";
  regex.field = "guided_regex";
  EXPECT_TRUE(writes(of(regex)->grammar, "123"));
  EXPECT_FALSE(writes(of(regex)->grammar, "1234"));
  regex.text = "(";
  EXPECT_EQ(of(regex).error().field, "guided_regex");
  llm::ResponseFormat choice{.kind = Form::kChoice, .schema = {}, .sent = {}};
  choice.choices = {"yes", "no \"quoted\"\n"};
  EXPECT_TRUE(writes(of(choice)->grammar, "no \"quoted\"\n"));
  EXPECT_FALSE(writes(of(choice)->grammar, "no"));
  llm::ResponseFormat grammar{.kind = Form::kGrammar, .schema = {}, .sent = {}};
  grammar.text = "root ::= \"a\"";
  grammar.field = "grammar";
  EXPECT_EQ(of(grammar)->grammar, grammar.text);
  EXPECT_EQ(of(grammar)->field, "grammar");
  EXPECT_EQ(structured_output(request({kWeather}, {}, grammar)).error().field, "grammar");
}

TEST(StructuredOutput, WrongFormsNameTheMemberThatAsksForThem) {
  const auto refused_at = [](const llm::ResponseFormat& format) {
    const auto out = structured_output(request({}, {}, format));
    return out ? "" : out.error().field;
  };
  llm::ResponseFormat schema{.kind = Form::kJsonSchema, .schema = R"({"properties":{"name":1}})", .sent = {}};
  EXPECT_EQ(refused_at(schema), "response_format.json_schema.schema.properties.name");
  schema.field = "structured_outputs.json";
  EXPECT_EQ(refused_at(schema), "structured_outputs.json.properties.name");
  schema.schema_is_text = true;
  EXPECT_EQ(refused_at(schema), "structured_outputs.json") << "no place of the request is in a text";
  schema.schema.clear();
  schema.field = "response_format.json_schema";
  EXPECT_EQ(refused_at(schema), "response_format.json_schema");
}

TEST(StructuredOutput, CallsAreFollowedWithinText) {
  const auto may = structured_output(request({kWeather}));
  ASSERT_TRUE(may);
  const std::string call =
      "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"when\": \"now\", \"city\": \"Oslo\"}}\n</tool_call>";
  for (const std::string& good : {call, "Text.\n" + call, call + "\n" + call + " and more",
                                  std::string("a <tool <b> {}"), std::string()})
    EXPECT_TRUE(writes(may->grammar, good)) << good;
  EXPECT_FALSE(writes(may->grammar, "Text <tool_call>nothing")) << "a call is one of those that are offered";
  llm::Request once = request({kWeather});
  once.parallel_tool_calls = false;
  EXPECT_FALSE(writes(structured_output(once)->grammar, call + "\n" + call));
  const auto must = structured_output(request({kWeather}, kRequired));
  EXPECT_TRUE(writes(must->grammar, call));
  EXPECT_FALSE(writes(must->grammar, "Text. " + call));
}

TEST(StructuredOutput, SomeToolsAreAllowed) {
  llm::ToolChoice choice = kRequired;
  choice.allowed = {"b"};
  const auto out = structured_output(request({function("a", "{}"), function("b", "{}")}, choice));
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(out->rules.names, std::vector<std::string>{"b"});
  choice.allowed = {"c"};
  EXPECT_EQ(structured_output(request({function("a", "{}")}, choice)).error().field,
            "tool_choice.allowed_tools.tools");
}

TEST(StructuredOutput, AToolsReferencesAreItsOwn) {
  const auto out = structured_output(request(
      {function(
           "a",
           R"({"type":"object","properties":{"x":{"$ref":"#/$defs/n"}},"required":["x"],"$defs":{"n":{"type":"integer"}}})"),
       function(
           "b",
           R"({"type":"object","properties":{"x":{"$ref":"#/definitions/n"}},"required":["x"],"definitions":{"n":{"type":"null"}}})"),
       function("none", "")},
      kRequired));
  ASSERT_TRUE(out) << out.error().message;
  const auto call = [](const char* name, const char* arguments) {
    return std::string("<tool_call>{\"name\":\"") + name + "\",\"arguments\":" + arguments + "}</tool_call>";
  };
  EXPECT_TRUE(writes(out->grammar, call("a", R"({"x":5})")));
  EXPECT_TRUE(writes(out->grammar, call("b", R"({"x":null})")));
  EXPECT_FALSE(writes(out->grammar, call("a", R"({"x":null})")));
  EXPECT_TRUE(writes(out->grammar, call("none", "{}")));
  EXPECT_FALSE(writes(out->grammar, call("none", R"({"x":1})")));
}

}  // namespace
}  // namespace pmt::inference
