// POST /v1/responses and what is kept of it, through the real server and the real response cache.
#include "api/responses/response_routes.h"

#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/test_server.h"
#include "net/sse.h"

namespace pmt::api {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kResponses[] = "/v1/responses";

std::string body(const std::string& more = "", const std::string& model = "tiny") {
  return R"({"model": ")" + model + R"(", "input": "What is 2 + 2?", "temperature": 0)" +
         (more.empty() ? "" : ", " + more) + "}";
}

class ResponseRoutes : public TestServer {
 protected:
  void adjust(ApiOptions& options) override { options.responses.running_max = 1; }
  net::ClientResponse ask(const std::string& text, const std::function<void()>& script) {
    return send_while(kResponses, text, script);
  }
  json get(const std::string& id) {
    return json::parse(send("GET", std::string(kResponses) + "/" + id).body);
  }
  /// Its status, once it is no longer `not_yet`.
  std::string awaited(const std::string& id, const std::set<std::string>& not_yet) {
    for (int i = 0; i < 500; ++i) {
      const std::string status = get(id).at("status");
      if (!not_yet.contains(status)) return status;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return "never";
  }
  static std::vector<json> events_of(const std::string& stream) {
    net::SseParser parser;
    std::vector<json> out;
    for (const std::string& event : parser.feed(stream)) out.push_back(json::parse(event));
    return out;
  }
};

TEST_F(ResponseRoutes, AQuestionOfChatIsAHitHere) {
  send_while(
      "/v1/chat/completions",
      R"({"model": "tiny", "temperature": 0, "messages": [{"role": "user", "content": "What is 2 + 2?"}]})",
      [this] {
        model.answer(0, {"It is", " four."});
      });
  const auto hit = send("POST", kResponses, body());
  ASSERT_EQ(hit.status, 200) << hit.body;
  const json response = json::parse(hit.body);
  EXPECT_EQ(hit.header("x-permutation-cache"), "hit");
  EXPECT_EQ(response.at("object"), "response");
  EXPECT_EQ(response.at("status"), "completed");
  EXPECT_EQ(response.at("output").at(0).at("content").at(0).at("text"), "It is four.");
  EXPECT_EQ(response.at("usage").at("input_tokens"), 10);
  EXPECT_EQ(response.at("permutation").at("cache").at("status"), "hit");
  EXPECT_EQ(model.calls(), 1);
  EXPECT_EQ(get(response.at("id")), response);
}

TEST_F(ResponseRoutes, MembersThatAreNotFollowedHaveTheCallersNames) {
  const std::string unused = R"("reasoning": {"effort": "low"}, "text": {"verbosity": "low"})";
  const json own = {"text.verbosity", "reasoning.effort"};
  const auto whole = ask(body(unused, "bare"), [this] { model.answer(0, {"Four."}); });
  EXPECT_EQ(json::parse(whole.body).at("permutation").at("ignored"), own) << whole.body;
  const auto streamed =
      ask(body(unused + R"(, "stream": true)", "bare"), [this] { model.answer(1, {"Four."}); });
  const json last = events_of(streamed.body).back();
  EXPECT_EQ(last.at("response").at("permutation").at("ignored"), own) << streamed.body;
}

/// An upstream may speak a third API: it tells of chat's members, which it was asked in.
TEST_F(ResponseRoutes, WhatAModelSaysOfMembersHasTheCallersNames) {
  const std::string form = R"("text": {"format": {"type": "json_schema", "name": "n", "schema": {}}})";
  const auto whole = ask(body(form, "bare"), [this] {
    const auto sink = model.call(0).sink;
    model.begin(0);
    sink->on_event(llm::ChoiceEnd{.choice = 0, .reason = llm::FinishReason::kStop, .tool_calls = {}});
    llm::Done done{.usage = {.prompt_tokens = 5, .completion_tokens = 7}, .report = {}};
    done.report.ignored = {"max_tokens"};
    done.report.unfollowed = {"response_format.json_schema.schema.properties.a.pattern: it looks ahead"};
    sink->on_event(std::move(done));
  });
  const json report = json::parse(whole.body).at("permutation");
  EXPECT_EQ(report.at("ignored"), json::array({"max_output_tokens"}));
  EXPECT_EQ(report.at("unfollowed"),
            json::array({"text.format.schema.properties.a.pattern: it looks ahead"}));
}

/// As an upstream that speaks this API has it: only that server can read it, so a client sends it back as it is.
TEST_F(ResponseRoutes, EncryptedReasoningIsGivenAsItWasEncrypted) {
  const std::string item = R"({"id":"rs_9","type":"reasoning","summary":[],"encrypted_content":"gAAA"})";
  const auto play = [&](int i) {
    const auto sink = model.call(i).sink;
    model.begin(i);
    sink->on_event(llm::Delta{.text = "", .logprobs = {}, .reasoning = "hm"});
    sink->on_event(llm::Delta{
        .text = "", .logprobs = {}, .more = "\"reasoning_items\":[7,{\"type\":\"x\"}," + item + "]"});
    model.say(i, "4");
    sink->on_event(llm::ChoiceEnd{.tool_calls = {}});
    sink->on_event(llm::Done{.usage = {.prompt_tokens = 5, .completion_tokens = 7}, .report = {}});
  };
  const json whole = json::parse(ask(body("", "bare"), [&] { play(0); }).body);
  ASSERT_EQ(whole.at("output").size(), 2U);
  EXPECT_EQ(whole.at("output").at(0), json::parse(item));
  EXPECT_EQ(whole.at("output").at(1).at("type"), "message");
  const auto events = events_of(ask(body(R"("stream": true)", "bare"), [&] { play(1); }).body);
  int ended = 0;
  for (const json& event : events) {
    if (event.at("type") == "response.output_item.done" && event.at("output_index") == 0)
      ended += event.at("item") == json::parse(item) ? 1 : 100;
  }
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(events.back().at("response").at("output").at(0), json::parse(item));
}

TEST_F(ResponseRoutes, AStreamHasItsEventsInOrderAndNumbered) {
  const auto answer = ask(body(R"("stream": true)", "bare"), [this] { play_two_calls(0); });
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_THAT(answer.body, StartsWith("event: response.created\ndata: {\"type\":\"response.created\""));
  const std::vector<json> events = events_of(answer.body);
  std::vector<std::string> types;
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].at("sequence_number"), i);
    types.push_back(events[i].at("type"));
  }
  EXPECT_THAT(
      types,
      ElementsAre("response.created", "response.in_progress", "response.output_item.added",
                  "response.content_part.added", "response.reasoning_text.delta",
                  "response.reasoning_text.done", "response.content_part.done", "response.output_item.done",
                  "response.output_item.added", "response.content_part.added", "response.output_text.delta",
                  "response.output_text.done", "response.content_part.done", "response.output_item.done",
                  "response.output_item.added", "response.function_call_arguments.delta",
                  "response.function_call_arguments.delta", "response.function_call_arguments.done",
                  "response.output_item.done", "response.output_item.added",
                  "response.function_call_arguments.delta", "response.function_call_arguments.done",
                  "response.output_item.done", "response.completed"));
  const json output = events.back().at("response").at("output");
  ASSERT_EQ(output.size(), 4U);
  EXPECT_EQ(output[0].at("type"), "reasoning");
  EXPECT_EQ(output[1].at("content").at(0).at("text"), "I look.");
  EXPECT_EQ(output[2].at("arguments"), "{\"a\": 1}");
  EXPECT_EQ(output[3].at("call_id"), "c2");

  const auto whole = ask(body("", "bare"), [this] { play_two_calls(1); });
  json same = json::parse(whole.body).at("output");
  for (std::size_t i = 0; i < output.size(); ++i) same[i]["id"] = output[i].at("id");
  EXPECT_EQ(same, output);
}

TEST_F(ResponseRoutes, AConversationGoesOn) {
  const auto first = ask(body("", "bare"), [this] { model.answer(0, {"Four."}); });
  const std::string id = json::parse(first.body).at("id");
  const auto second =
      ask(R"({"model": "bare", "input": "And 3 + 3?", "previous_response_id": ")" + id + "\"}",
          [this] { model.answer(1, {"Six."}); });
  ASSERT_EQ(second.status, 200) << second.body;
  const llm::Request request = model.call(1).request;
  ASSERT_EQ(request.messages.size(), 3U);
  EXPECT_EQ(request.messages[1].role, "assistant");
  EXPECT_EQ(request.messages[1].content, "Four.");
  EXPECT_EQ(json::parse(second.body).at("previous_response_id"), id);

  const json items =
      json::parse(send("GET", "/v1/responses/" + json::parse(second.body).at("id").get<std::string>() +
                                  "/input_items?order=asc&limit=2")
                      .body);
  EXPECT_EQ(items.at("data").size(), 2U);
  EXPECT_EQ(items.at("has_more"), true);
  EXPECT_EQ(items.at("data").at(1).at("content").at(0).at("text"), "Four.");

  const auto lost = send("POST", kResponses, body(R"("previous_response_id": "resp_no")"));
  EXPECT_EQ(lost.status, 400);
  EXPECT_EQ(error_of(lost).at("param"), "previous_response_id");
}

TEST_F(ResponseRoutes, AnItemBehindAHistoryIsFoundByItsId) {
  const auto id_of = [](const net::ClientResponse& response) {
    return json::parse(response.body).at("id").get<std::string>();
  };
  const std::string first = id_of(ask(body("", "bare"), [this] { model.answer(0, {"Four."}); }));
  const std::string second =
      id_of(ask(R"({"model": "bare", "input": "And 3 + 3?", "previous_response_id": ")" + first + "\"}",
                [this] { model.answer(1, {"Six."}); }));
  const json items = json::parse(send("GET", "/v1/responses/" + second + "/input_items?order=asc").body);
  ASSERT_EQ(items.at("data").size(), 3U);
  const json reference = {{"type", "item_reference"}, {"id", items.at("data").at(2).at("id")}};
  const json request = {{"model", "bare"}, {"background", true}, {"input", json::array({reference})}};
  const auto third = send("POST", kResponses, request.dump());
  ASSERT_EQ(third.status, 200) << third.body;
  model.answer(2, {"Six."});
  EXPECT_EQ(model.call(2).request.messages.at(0).content, "And 3 + 3?");
}

TEST_F(ResponseRoutes, WhatIsNotToBeStoredIsNot) {
  const auto answer = ask(body(R"("store": false)", "bare"), [this] { model.answer(0, {"Four."}); });
  const json response = json::parse(answer.body);
  EXPECT_EQ(response.at("store"), false);
  EXPECT_EQ(send("GET", "/v1/responses/" + response.at("id").get<std::string>()).status, 404);
}

TEST_F(ResponseRoutes, InTheBackgroundItIsFetchedLater) {
  const auto queued = send("POST", kResponses, body(R"("background": true)", "bare"));
  ASSERT_EQ(queued.status, 200) << queued.body;
  EXPECT_THAT(std::string(queued.header("x-request-id")), StartsWith("req_"));
  const std::string id = json::parse(queued.body).at("id");
  EXPECT_EQ(json::parse(queued.body).at("status"), "queued");
  model.begin(0);
  EXPECT_EQ(awaited(id, {"queued"}), "in_progress");
  model.say(0, "Four.");
  model.finish(0, 1);
  EXPECT_EQ(awaited(id, {"queued", "in_progress"}), "completed");
  EXPECT_EQ(get(id).at("output").at(0).at("content").at(0).at("text"), "Four.");
  EXPECT_THAT(
      send("GET", "/metrics").body,
      HasSubstr(R"(permutation_http_requests_total{method="POST",route="/v1/responses",code="2xx"} 1)"));
}

TEST_F(ResponseRoutes, TheBackgroundCanBeCancelledAndFail) {
  const std::string id =
      json::parse(send("POST", kResponses, body(R"("background": true)", "bare")).body).at("id");
  const auto call = model.call(0);
  const auto cancelled = send("POST", "/v1/responses/" + id + "/cancel");
  EXPECT_EQ(cancelled.status, 200);
  EXPECT_EQ(json::parse(cancelled.body).at("status"), "cancelled");
  EXPECT_TRUE(call.cancel.cancelled());
  model.fail(0, base::Code::kCancelled, "gone");
  EXPECT_EQ(get(id).at("status"), "cancelled");
  EXPECT_EQ(send("POST", "/v1/responses/" + id + "/cancel").status, 200);

  const std::string other =
      json::parse(send("POST", kResponses, body(R"("background": true)", "bare")).body).at("id");
  model.fail(1, base::Code::kInternal, "It broke.");
  EXPECT_EQ(awaited(other, {"queued", "in_progress"}), "failed");
  EXPECT_EQ(get(other).at("error").at("message"), "It broke.");
}

TEST_F(ResponseRoutes, AStreamThatFailsEarlyHoldsNoPlaceInTheBackground) {
  const std::string streamed = body(R"("background": true, "stream": true)", "bare");
  for (int i = 0; i < 2; ++i) {
    const auto failed =
        ask(streamed, [this, i] { model.fail(i, base::Code::kUnavailable, "Too much waits."); });
    EXPECT_EQ(failed.status, 503) << i;
  }
  EXPECT_EQ(send("POST", kResponses, body(R"("background": true)", "bare")).status, 200);
  model.fail(2, base::Code::kCancelled, "The test ends.");
}

TEST_F(ResponseRoutes, AFailureHasItsStatusAndLaterItsEvent) {
  const auto early = ask(body(R"("stream": true)", "bare"),
                         [this] { model.fail(0, base::Code::kUnavailable, "Too much waits."); });
  EXPECT_EQ(early.status, 503);
  const auto late = ask(body(R"("stream": true)", "bare"), [this] {
    model.begin(1);
    model.say(1, "It");
    model.fail(1, base::Code::kInternal, "It broke.");
  });
  const std::vector<json> events = events_of(late.body);
  EXPECT_EQ(events.back().at("type"), "response.failed");
  EXPECT_EQ(events.back().at("response").at("error").at("message"), "It broke.");
  EXPECT_EQ(get(events.back().at("response").at("id")).at("status"), "failed");
}

TEST_F(ResponseRoutes, WhatDoesntFitIsNamedInTheCallersWords) {
  const auto answer = ask(body("", "bare"), [this] {
    model.call(0).sink->on_event(llm::Failed{{base::Code::kTooLarge, "9 tokens too many.", "messages"}});
  });
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(error_of(answer).at("code"), "context_length_exceeded");
  EXPECT_EQ(error_of(answer).at("param"), "input");
}

TEST_F(ResponseRoutes, WhatIsKeptIsDeletedOnce) {
  const auto answer = ask(body("", "bare"), [this] { model.answer(0, {"Four."}); });
  const std::string path = "/v1/responses/" + json::parse(answer.body).at("id").get<std::string>();
  EXPECT_EQ(send("POST", path + "/cancel").status, 400);
  EXPECT_EQ(send("GET", path + "?stream=true").status, 400);
  EXPECT_EQ(json::parse(send("DELETE", path).body).at("deleted"), true);
  EXPECT_EQ(send("DELETE", path).status, 404);
  EXPECT_EQ(send("GET", path + "/input_items").status, 404);
  EXPECT_EQ(send("POST", path + "/elsewhere").status, 404);
}

}  // namespace
}  // namespace pmt::api
