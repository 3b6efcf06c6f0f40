// POST /v1/messages, through the real server and the real response cache.
#include "api/messages/message_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/test_server.h"
#include "api/test_vocabulary.h"
#include "net/sse.h"

namespace pmt::api {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kMessages[] = "/v1/messages";

std::string body(const std::string& more = "", const std::string& model = "tiny") {
  return R"({"model": ")" + model +
         R"(", "max_tokens": 16, "temperature": 0, "messages": [{"role": "user", "content": "What is 2 + 2?"}])" +
         (more.empty() ? "" : ", " + more) + "}";
}

class MessageRoutes : public TestServer {
 protected:
  void adjust(ApiOptions& options) override {
    options.models["tiny"].counts_in = &bytes;
    options.models["native"] = {
        .completer = &model, .remote = true, .forwards = true, .native = {llm::Api::kMessages}};
    options.models["other"] = {
        .completer = &model, .remote = true, .forwards = true, .native = {llm::Api::kResponses}};
  }
  net::ClientResponse ask(const std::string& text, const std::function<void()>& script) {
    return send_while(kMessages, text, script);
  }
  ByteVocabulary bytes;
};

TEST_F(MessageRoutes, AQuestionOfChatIsAHitHereAndOfResponsesToo) {
  send_while("/v1/chat/completions", R"({"model": "tiny", "temperature": 0, "max_tokens": 16,
                 "messages": [{"role": "user", "content": "What is 2 + 2?"}]})",
             [this] {
               model.answer(0, {"It is", " four."});
             });
  const auto hit = send("POST", kMessages, body(), {{"anthropic-version", "2023-06-01"}});
  ASSERT_EQ(hit.status, 200) << hit.body;
  const json message = json::parse(hit.body);
  EXPECT_EQ(message.at("type"), "message");
  EXPECT_EQ(message.at("content"), json::array({{{"type", "text"}, {"text", "It is four."}}}));
  EXPECT_EQ(message.at("stop_reason"), "end_turn");
  EXPECT_EQ(message.at("usage").at("input_tokens"), 10);
  EXPECT_EQ(message.at("permutation").at("cache").at("status"), "hit");
  EXPECT_EQ(hit.header("request-id"), hit.header("x-request-id"));
  const auto response = send("POST", "/v1/responses",
                             R"({"model": "tiny", "temperature": 0, "max_output_tokens": 16,
                                 "input": "What is 2 + 2?"})");
  EXPECT_EQ(response.header("x-permutation-cache"), "hit");
  EXPECT_EQ(model.calls(), 1);
}

TEST_F(MessageRoutes, MembersThatAreNotFollowedHaveTheCallersNames) {
  const std::string unused =
      R"("metadata": {"user_id": "u"}, "thinking": {"type": "enabled", "budget_tokens": 1024})";
  const json own = {"metadata.user_id", "thinking.budget_tokens"};
  const auto whole = ask(body(unused, "bare"), [this] { model.answer(0, {"Four."}); });
  EXPECT_EQ(json::parse(whole.body).at("permutation").at("ignored"), own) << whole.body;
  const auto streamed =
      ask(body(unused + R"(, "stream": true)", "bare"), [this] { model.answer(1, {"Four."}); });
  EXPECT_THAT(streamed.body, HasSubstr(R"("ignored":)" + own.dump()));
}

TEST_F(MessageRoutes, AStreamHasItsEventsInOrder) {
  const auto answer = ask(body(R"("stream": true)", "bare"), [this] { play_two_calls(0); });
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_THAT(answer.body, StartsWith("event: message_start\ndata: {\"type\":\"message_start\""));
  net::SseParser parser;
  std::vector<std::string> types;
  std::vector<json> events;
  for (const std::string& event : parser.feed(answer.body)) {
    events.push_back(json::parse(event));
    types.push_back(events.back().at("type"));
  }
  EXPECT_THAT(
      types,
      ElementsAre("message_start", "content_block_start", "content_block_delta", "content_block_stop",
                  "content_block_start", "content_block_delta", "content_block_stop", "content_block_start",
                  "content_block_delta", "content_block_delta", "content_block_stop", "content_block_start",
                  "content_block_delta", "content_block_stop", "message_delta", "message_stop"));
  EXPECT_EQ(events[13].at("index"), 3);
  EXPECT_EQ(events[12].at("delta").at("partial_json"), R"({"arguments":"no object"})");
  EXPECT_EQ(events[14].at("delta").at("stop_reason"), "tool_use");
  EXPECT_EQ(events[14].at("usage").at("output_tokens"), 7);

  const json whole = json::parse(ask(body("", "bare"), [this] { play_two_calls(1); }).body);
  ASSERT_EQ(whole.at("content").size(), 4U);
  EXPECT_EQ(whole.at("content").at(0).at("thinking"), "hm");
  EXPECT_EQ(whole.at("content").at(2).at("input"), json({{"a", 1}}));
  EXPECT_EQ(whole.at("content").at(3).at("input"), json({{"arguments", "no object"}}));
}

TEST_F(MessageRoutes, ItsOwnWordsAreKeptForWhoSpeaksThem) {
  const auto own_of = [this](const std::string& text, int i) {
    ask(text, [&] { model.answer(i, {"4"}); });
    return model.call(i).request.sent->own;
  };
  const std::string asked = body(R"("thinking": {"type": "enabled", "budget_tokens": 1024})", "native");
  const auto own = own_of(asked, 0);
  ASSERT_TRUE(own);
  EXPECT_EQ(own->api, llm::Api::kMessages);
  EXPECT_EQ(own->text, asked);
  EXPECT_FALSE(own_of(body("", "other"), 1)) << "it would not understand them";
}

/// As an upstream that speaks this API has it: a client sends it back, signed, with the next question.
TEST_F(MessageRoutes, SignedThinkingIsGivenAsItWasSigned) {
  const auto play = [this](int i) {
    const auto sink = model.call(i).sink;
    model.begin(i);
    sink->on_event(llm::Delta{.text = "", .logprobs = {}, .reasoning = "hm"});
    sink->on_event(llm::Delta{
        .text = "",
        .logprobs = {},
        .more =
            R"("thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"sig"},{"type":"redacted_thinking","data":"Em"}])"});
    model.say(i, "4");
    sink->on_event(llm::ChoiceEnd{
        .tool_calls = {}, .choice_more = R"("native_finish_reason":"stop_sequence","stop_sequence":"END")"});
    sink->on_event(llm::Done{.usage = {.prompt_tokens = 5, .completion_tokens = 7}, .report = {}});
  };
  const json whole = json::parse(ask(body("", "bare"), [&] { play(0); }).body);
  EXPECT_EQ(whole.at("content"), json::parse(R"([{"type":"thinking","thinking":"hm","signature":"sig"},
                                                  {"type":"redacted_thinking","data":"Em"},
                                                  {"type":"text","text":"4"}])"));
  EXPECT_EQ(whole.at("stop_reason"), "stop_sequence");
  EXPECT_EQ(whole.at("stop_sequence"), "END");
  net::SseParser parser;
  std::vector<json> events;
  for (const std::string& event : parser.feed(ask(body(R"("stream": true)", "bare"), [&] { play(1); }).body))
    events.push_back(json::parse(event));
  ASSERT_EQ(events.size(), 12U);
  EXPECT_EQ(events[2].at("delta").at("thinking"), "hm");
  EXPECT_EQ(events[3].at("delta"), json({{"type", "signature_delta"}, {"signature", "sig"}}));
  EXPECT_EQ(events[4].at("type"), "content_block_stop");
  EXPECT_EQ(events[5].at("content_block"), json({{"type", "redacted_thinking"}, {"data", "Em"}}));
  EXPECT_EQ(events[5].at("index"), 1);
  EXPECT_EQ(events[6].at("type"), "content_block_stop");
  EXPECT_EQ(events[7].at("index"), 2);
  EXPECT_EQ(events[10].at("delta"), json({{"stop_reason", "stop_sequence"}, {"stop_sequence", "END"}}));
}

TEST_F(MessageRoutes, EveryErrorHasThisApisShape) {
  const auto shape = [](const net::ClientResponse& response) {
    const json answer = json::parse(response.body);
    EXPECT_EQ(answer.at("type"), "error");
    EXPECT_EQ(answer.at("request_id"), std::string(response.header("request-id")));
    return answer.at("error").at("type").get<std::string>();
  };
  const auto wrong = send("POST", kMessages, body(R"("temperature": 5)"));
  EXPECT_EQ(wrong.status, 400);
  EXPECT_EQ(shape(wrong), "invalid_request_error");
  EXPECT_THAT(wrong.body, HasSubstr("'temperature' must be"));
  EXPECT_EQ(shape(send("POST", kMessages, "{")), "invalid_request_error");
  EXPECT_EQ(shape(send("POST", kMessages, body("", "gpt-9"))), "not_found_error");
  EXPECT_EQ(shape(send("GET", kMessages)), "not_found_error");
  EXPECT_EQ(shape(send("POST", "/v1/messages/nowhere", "{}")), "not_found_error");
  EXPECT_EQ(shape(send("POST", kMessages, body(), {{"content-encoding", "lzma"}})), "invalid_request_error");
  const auto busy =
      ask(body("", "bare"), [this] { model.fail(0, base::Code::kUnavailable, "Too much waits."); });
  EXPECT_EQ(busy.status, 503);
  EXPECT_EQ(shape(busy), "overloaded_error");
  EXPECT_EQ(error_of(send("POST", "/v1/chat/completions", "{")).at("type"), "invalid_request_error");
}

TEST_F(MessageRoutes, AFailureInMidStreamIsItsLastEvent) {
  const auto answer = ask(body(R"("stream": true)", "bare"), [this] {
    model.begin(0);
    model.say(0, "It is");
    model.fail(0, base::Code::kInternal, "The model broke.");
  });
  EXPECT_THAT(answer.body,
              HasSubstr("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\","
                        "\"message\":\"The model broke.\"}"));
}

TEST_F(MessageRoutes, TokensAreCountedWithoutAnAnswer) {
  const auto counted =
      send("POST", "/v1/messages/count_tokens",
           R"({"model": "tiny", "messages": [{"role": "user", "content": "What is 2 + 2?"}]})");
  ASSERT_EQ(counted.status, 200) << counted.body;
  EXPECT_EQ(json::parse(counted.body), json({{"input_tokens", 20}}));
  const auto other = send("POST", "/v1/messages/count_tokens",
                          R"({"model": "bare", "messages": [{"role": "user", "content": "q"}]})");
  EXPECT_EQ(other.status, 400);
  EXPECT_THAT(other.body, HasSubstr("'model'"));
  EXPECT_EQ(model.calls(), 0);
  api->stop();
  EXPECT_EQ(send("POST", "/v1/messages/count_tokens", body()).status, 503) << "the model goes next";
}

}  // namespace
}  // namespace pmt::api
