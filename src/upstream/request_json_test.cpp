#include "upstream/request_json.h"

#include <gtest/gtest.h>

#include "upstream/body_edit.h"

namespace pmt::upstream {
namespace {

std::shared_ptr<llm::SentBody> written(std::string text) {
  auto sent = std::make_shared<llm::SentBody>();
  sent->text = std::move(text);
  for (base::JsonMember& member : base::members_of(sent->text))
    sent->members.push_back({std::move(member), false});
  return sent;
}

RemoteOptions upstream(bool newer_limit = false) {
  RemoteOptions options;
  options.model = "own";
  options.max_completion_tokens = newer_limit;
  return options;
}

std::string forwarded(const std::string& text, bool stream = false,
                      const RemoteOptions& options = upstream()) {
  llm::Request request;
  request.sent = written(text);
  return request_body(request, options, stream);
}

TEST(RequestJson, OnlyWhatMustChangeChanges) {
  EXPECT_EQ(
      forwarded(
          "{ \"model\" : \"up/m\",\n \"z\":[1.50, {\"b\":1,\"a\":12345678901234567890123}],\t\"temperature\": 1 } "),
      "{ \"model\" : \"own\",\n \"z\":[1.50, {\"b\":1,\"a\":12345678901234567890123}],\t\"temperature\": 1 } ");
  EXPECT_EQ(forwarded(R"({"a":1,"mod\u0065l":"x","permutation":{"model":2},"b":2})"),
            R"({"a":1,"mod\u0065l":"own","b":2})")
      << "a name is what it means, however it is written";
}

TEST(RequestJson, OurOwnMemberIsLeftOutWhereverItStands) {
  EXPECT_EQ(forwarded(R"({"permutation": {}, "model":"x"})"), R"({"model":"own"})");
  EXPECT_EQ(forwarded(R"({"model":"x", "permutation": {}})"), R"({"model":"own"})");
  EXPECT_EQ(forwarded(R"({"permutation":1,"permutation":2,"model":"x", "permutation": {}})"),
            R"({"model":"own"})");
}

TEST(RequestJson, AStreamBringsItsUsage) {
  const std::string plain = R"({"model":"own","stream":true,"stream_options":{"include_usage":true}})";
  EXPECT_EQ(forwarded(R"({"model":"x","stream":true})", true), plain);
  EXPECT_EQ(forwarded(R"({"model":"x","stream":true,"stream_options":null})", true), plain);
  EXPECT_EQ(
      forwarded(R"({"model":"x","stream_options":{"a": 1, "include_usage":false},"stream":true})", true),
      R"({"model":"own","stream_options":{"a": 1, "include_usage":true},"stream":true})");
  EXPECT_EQ(forwarded(R"({"stream":true, "stream_options" : {"include_usage": true},"model":"x"})", true),
            R"({"stream":true, "stream_options" : {"include_usage": true},"model":"own"})");
  EXPECT_EQ(forwarded(R"({"model":"x","stream":true,"stream_options":{}})", false), R"({"model":"own"})")
      << "a server that doesn't stream";
  EXPECT_EQ(forwarded(R"({"model":"x","stream":false})"), R"({"model":"own","stream":false})");
}

TEST(RequestJson, ALimitKeepsItsName) {
  EXPECT_EQ(forwarded(R"({"model":"x","max_completion_tokens":5})"),
            R"({"model":"own","max_completion_tokens":5})");
  EXPECT_EQ(forwarded(R"({"max_tokens":5,"model":"x"})", false, upstream(true)),
            R"({"model":"own","max_completion_tokens":5})");
  llm::Request request;
  for (const auto& [text, expected] : std::vector<std::pair<std::string, std::string>>{
           {R"({"model":"x"})", R"({"model":"own","max_tokens":7})"},
           {R"({"max_tokens": 50,"model":"x"})", R"({"max_tokens": 7,"model":"own"})"},
           {R"({"max_completion_tokens": 50,"model":"x"})",
            R"({"max_completion_tokens": 7,"model":"own"})"}}) {
    request.sent = written(text);
    request.max_tokens = 7;  // a budget's
    EXPECT_EQ(request_body(request, upstream(), false), expected);
  }
}

TEST(RequestJson, WhatAnEngineSetsCounts) {
  llm::Request request;
  auto sent = written(R"({"model":"x","temperature":0.70,"n":3,"seed":5000000000})");
  sent->sampling.temperature = 0.7F;
  sent->sampling.seed = 1;
  sent->n = 3;
  request.sampling = sent->sampling;
  request.n = 3;
  request.sent = sent;
  EXPECT_EQ(request_body(request, upstream(), false),
            R"({"model":"own","temperature":0.70,"n":3,"seed":5000000000})");
  request.sampling.temperature = 0.1F;
  request.sampling.seed = 2;
  request.n = 1;
  request.logprobs = 0;
  EXPECT_EQ(request_body(request, upstream(), false),
            R"({"model":"own","temperature":0.1,"n":1,"seed":2,"logprobs":true})");
}

TEST(RequestJson, ANumberOfOursIsTheShortestThatMeansIt) {
  llm::Request request;
  request.messages.push_back(
      {.role = "user", .content = "hi", .name = {}, .tool_calls = {}, .tool_call_id = {}});
  request.sampling.temperature = 0.7F;
  request.sampling.logit_bias = {{5, -1.1F}};
  const std::string body = request_body(request, upstream(), false);
  EXPECT_NE(body.find(R"("temperature":0.7,)"), std::string::npos) << body;
  EXPECT_NE(body.find(R"("logit_bias":{"5":-1.1})"), std::string::npos) << body;
}

}  // namespace
}  // namespace pmt::upstream
