#include "inference/call_reader.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace pmt::inference {
namespace {

struct Read {
  std::string text, reasoning;
  std::vector<CallReader::Call> calls;
  std::size_t pieces = 0;
};

/// `answer` as it comes in pieces of `step` bytes.
Read read(const std::string& answer, std::size_t step, CallRules rules = {}, bool cut = false) {
  if (rules.names.empty()) rules.names = {"weather", "now"};
  CallReader reader(rules);
  Read out;
  std::vector<CallReader::Call> told;
  const auto take = [&](const CallReader::Found& found) {
    out.text += found.text;
    out.reasoning += found.reasoning;
    for (const llm::CallPiece& piece : found.calls) {
      ++out.pieces;
      const auto i = static_cast<std::size_t>(piece.index);
      if (i >= told.size()) told.resize(i + 1);
      told[i].name += piece.name;
      told[i].arguments += piece.arguments;
    }
  };
  for (std::size_t at = 0; at < answer.size(); at += step) take(reader.push(answer.substr(at, step)));
  take(reader.finish(cut));
  out.calls = reader.calls();
  EXPECT_EQ(told.size(), out.calls.size());
  for (std::size_t i = 0; i < told.size(); ++i) {
    EXPECT_EQ(told[i].name, out.calls[i].name);
    EXPECT_EQ(told[i].arguments, out.calls[i].arguments);
  }
  return out;
}

const std::string kCall = R"({"name": "weather", "arguments": {"city": "Oslo \"}{\""}})";
const std::string kArguments = R"({"city": "Oslo \"}{\""})";
const std::string kTagged = "<tool_call>\n" + kCall + "\n</tool_call>";

struct Case {
  std::string answer, text, reasoning;
  std::vector<std::string> names = {};
};

class Answers : public ::testing::TestWithParam<std::size_t> {};

TEST_P(Answers, AreReadHoweverTheyCome) {
  const Case cases[] = {
      {kTagged, "", "", {"weather"}},
      {"\n" + kTagged, "", "", {"weather"}},
      {"I will check.\n" + kTagged, "I will check.", "", {"weather"}},
      {"A\n" + kTagged + "\nB\n" + kTagged + "\n", "A\nB", "", {"weather", "weather"}},
      {kTagged + "\n" + kTagged, "", "", {"weather", "weather"}},
      {"<tool_call>" + kCall + "\n" + kCall + "</tool_call>", "", "", {"weather", "weather"}},
      {"<think>\nThe user wants weather.\n</think>\n\n" + kTagged,
       "",
       "The user wants weather.",
       {"weather"}},
      {"<think>a <b> c</think>Hello\n", "Hello\n", "a <b> c"},
      {kCall, "", "", {"weather"}},
      {"  " + kCall + "\n", "", "", {"weather"}},
      {"Sure:\n" + kCall, "Sure:", "", {"weather"}},
      {"```json\n" + kCall + "\n```", "", "", {"weather"}},
      {"Here:\n```\n" + kCall + "\n```\nDone.", "Here:\nDone.", "", {"weather"}},
      {R"({"name": "now", "arguments": {}})", "", "", {"now"}},
      {R"({"arguments": {"a": [1, {"b": 2}]}, "name": "now"})", "", "", {"now"}},
      {R"({"name": "now", "parameters": {}})", "", "", {"now"}},
      {R"({"name": "now", "arguments": "{\"a\": 1}"})", "", "", {"now"}},
      {R"({"id": 3, "type": "function", "name": "now", "arguments": {}})", "", "", {"now"}},
      {R"(<tool_call>{"name": "now"}</tool_call>)", "", "", {"now"}},
      // text that only looks like a call
      {R"({"name": "nobody", "arguments": {}})", R"({"name": "nobody", "arguments": {}})", ""},
      {R"({"name": "now"})", R"({"name": "now"})", ""},
      {R"({"name": "now", "age": 3})", R"({"name": "now", "age": 3})", ""},
      {"An object {\"name\": \"now\", \"arguments\": {}} inside",
       "An object {\"name\": \"now\", \"arguments\": {}} inside", ""},
      {"{\n  \"a\": {\n    \"b\": 1\n  }\n}\n", "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n", ""},
      {"```python\nprint({})\n```\n", "```python\nprint({})\n```\n", ""},
      {"```json\n{\"a\": 1}\n```", "```json\n{\"a\": 1}\n```", ""},
      {"a < b, <tool, <tool_cal> and <<tool_call", "a < b, <tool, <tool_cal> and <<tool_call", ""},
      {"`x` and {} and\n\n  {y}\n", "`x` and {} and\n\n  {y}\n", ""},
      {"Plain.\n\n\nText. ", "Plain.\n\n\nText. ", ""},
      {"", "", ""}};
  for (const Case& one : cases) {
    const Read got = read(one.answer, GetParam());
    EXPECT_EQ(got.text, one.text) << one.answer;
    EXPECT_EQ(got.reasoning, one.reasoning) << one.answer;
    ASSERT_EQ(got.calls.size(), one.names.size()) << one.answer;
    for (std::size_t i = 0; i < one.names.size(); ++i) {
      EXPECT_EQ(got.calls[i].name, one.names[i]) << one.answer;
      EXPECT_TRUE(base::parse_json(got.calls[i].arguments)) << got.calls[i].arguments;
      EXPECT_TRUE(one.names[i] != "weather" || got.calls[i].arguments == kArguments)
          << got.calls[i].arguments;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(InPiecesOf, Answers, ::testing::Values(1, 2, 3, 7, 1000));

TEST(CallReader, WhatTheLimitCutIsNeverMarkup) {
  const std::string answer = "Let me see.\n" + kTagged;
  for (std::size_t size = 12; size < answer.size(); ++size) {
    const Read got = read(answer.substr(0, size), 1, {}, true);
    EXPECT_TRUE(got.text == "Let me see." || got.text == "Let me see.\n" || got.text == "Let me see.\n<")
        << got.text;
  }
  for (std::size_t size = 2; size < kCall.size(); ++size) {
    const Read got = read(kCall.substr(0, size), 1, {}, true);
    EXPECT_EQ(got.text, "") << size;
  }
  EXPECT_EQ(read(R"({"title": "a", "te)", 1, {}, true).text, R"({"title": "a", "te)");
  const Read thought = read("<think>half a thou", 1, {}, true);
  EXPECT_EQ(thought.text, "");
  EXPECT_EQ(thought.reasoning, "half a thou");
}

TEST(CallReader, TheNameComesFirstAndArgumentsAsTheyAreWritten) {
  CallReader reader({.names = {"weather"}});
  EXPECT_TRUE(reader.push("<tool_call>\n{\"name\": \"wea").calls.empty());
  const auto name = reader.push("ther\"");
  ASSERT_EQ(name.calls.size(), 1U);
  EXPECT_EQ(name.calls[0].name, "weather");
  EXPECT_EQ(name.calls[0].arguments, "");
  EXPECT_TRUE(reader.push(", \"arguments\": ").calls.empty());
  for (const std::string piece : {"{\"city\"", ": \"Os", "lo\"", "}"}) {
    const auto found = reader.push(piece);
    ASSERT_EQ(found.calls.size(), 1U) << piece;
    EXPECT_EQ(found.calls[0].name, "");
    EXPECT_EQ(found.calls[0].arguments, piece);
  }
}

TEST(CallReader, OneCallWhereMoreArentAllowed) {
  const Read got =
      read(kTagged + "\n" + kTagged + "\nand text", 3, {.names = {"weather"}, .parallel = false});
  EXPECT_EQ(got.calls.size(), 1U);
  EXPECT_EQ(got.text, "and text");
}

TEST(CallReader, ThinkingThatThePromptBegan) {
  const Read got = read("so it is</think>Yes.", 2, {.names = {"weather"}, .thinking = true});
  EXPECT_EQ(got.reasoning, "so it is");
  EXPECT_EQ(got.text, "Yes.");
}

TEST(CallReader, ThinkingBetweenOtherTags) {
  const std::string answer = "[THINK]so </think> it is[/THINK]Yes. " + kTagged;
  for (std::size_t step = 1; step <= answer.size(); ++step) {
    const Read got = read(answer, step, {.names = {"weather"}, .open = "[THINK]", .close = "[/THINK]"});
    EXPECT_EQ(got.reasoning, "so </think> it is");
    EXPECT_EQ(got.text, "Yes.");
    EXPECT_EQ(got.calls.size(), 1U);
  }
}

TEST(CallReader, TextThatBeginsLikeCallsCostsNoMoreThanItsLength) {
  std::string answer;
  for (int i = 0; i < 5'000; ++i) answer += "{\"id\": [\n";
  EXPECT_EQ(read(answer, 50).text, answer);
}

}  // namespace
}  // namespace pmt::inference
