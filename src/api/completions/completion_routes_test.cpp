#include <future>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/test_server.h"
#include "net/sse.h"

namespace pmt::api {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kChat[] = "/v1/chat/completions";

std::string chat(const std::string& model, const std::string& more = "") {
  return R"({"model": ")" + model +
         R"(", "messages": [{"role": "user", "content": "What is 2 + 2?"}], "temperature": 0)" +
         (more.empty() ? "" : ", " + more) + "}";
}

class CompletionRoutes : public TestServer {
 protected:
  net::ClientResponse ask(const std::string& body, const std::function<void()>& script,
                          const net::Headers& headers = {}) {
    return send_while(kChat, body, script, headers);
  }
};

TEST_F(CompletionRoutes, AMissIsComputedAndTheSameAgainIsAHit) {
  const auto miss = ask(chat("tiny"), [this] { model.answer(0, {"It is", " four."}); });
  ASSERT_EQ(miss.status, 200);
  const json first = json::parse(miss.body);
  EXPECT_EQ(first.at("choices").at(0).at("message").at("content"), "It is four.");
  EXPECT_EQ(first.at("usage").at("total_tokens"), 12);
  EXPECT_THAT(first.at("id").get<std::string>(), StartsWith("chatcmpl-"));
  EXPECT_EQ(first.at("permutation").at("cache").at("status"), "miss");
  EXPECT_EQ(miss.header("x-permutation-cache"), "miss");
  EXPECT_EQ(miss.header("age"), "");

  const auto hit = send("POST", kChat, chat("tiny"), {{"X-Request-Id", "mine-1"}});
  const json second = json::parse(hit.body);
  EXPECT_EQ(second.at("choices"), first.at("choices"));
  EXPECT_NE(second.at("id"), first.at("id"));
  EXPECT_EQ(second.at("permutation").at("cache").at("status"), "hit");
  EXPECT_EQ(hit.header("x-permutation-cache"), "hit");
  EXPECT_EQ(hit.header("x-permutation-cache-key"), miss.header("x-permutation-cache-key"));
  EXPECT_EQ(hit.header("x-permutation-cache-key").size(), 64U);
  EXPECT_EQ(hit.header("x-request-id"), "mine-1");
  EXPECT_NE(hit.header("x-permutation-tokens-saved"), "0");
  EXPECT_EQ(hit.header("age"), "0");
  EXPECT_EQ(model.calls(), 1);
}

TEST_F(CompletionRoutes, StreamsWhatArrives) {
  std::promise<void> first_seen;
  std::thread player([&] {
    model.begin(0);
    model.say(0, "It is");
    first_seen.get_future().wait();  // the first piece must not wait for the second
    model.say(0, " four.");
    model.finish(0, 2);
  });
  net::SseParser parser;
  std::vector<std::string> events;
  const auto on_bytes = [&](std::string_view bytes) {
    for (std::string& event : parser.feed(bytes)) {
      if (event.find("It is") != std::string::npos) first_seen.set_value();
      events.push_back(std::move(event));
    }
    return true;
  };
  const auto response = client()->stream(
      "POST", kChat, {}, chat("tiny", R"("stream": true, "stream_options": {"include_usage": true})"),
      on_bytes);
  player.join();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  EXPECT_THAT(std::string(response->header("content-type")), StartsWith("text/event-stream"));
  EXPECT_EQ(response->header("x-permutation-cache"), "miss");
  EXPECT_THAT(std::string(response->header("x-request-id")), StartsWith("req_"));
  ASSERT_EQ(events.size(), 6U);  // role, two deltas, finish, usage, [DONE]
  EXPECT_EQ(json::parse(events[3]).at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_EQ(json::parse(events[4]).at("usage").at("completion_tokens"), 2);
  EXPECT_EQ(json::parse(events[4]).at("permutation").at("cache").at("status"), "miss");
  EXPECT_EQ(events[5], "[DONE]");
}

TEST_F(CompletionRoutes, AFailureBeforeTheFirstTokenHasItsStatusEvenInAStream) {
  const auto response = ask(chat("bare", R"("stream": true)"), [this] {
    model.begin(0);
    model.fail(0, base::Code::kUnavailable, "The queue is full.");
  });
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.header("retry-after"), "1");
  EXPECT_EQ(error_of(response).at("code"), "service_unavailable");
}

TEST_F(CompletionRoutes, AFailureInMidStreamIsItsLastEvent) {
  const auto response = ask(chat("bare", R"("stream": true)"), [this] {
    model.begin(0);
    model.say(0, "It is");
    model.fail(0, base::Code::kInternal, "The model broke.");
  });
  EXPECT_EQ(response.status, 200);
  net::SseParser parser;
  const auto events = parser.feed(response.body);
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(json::parse(events[2]).at("error").at("message"), "The model broke.");
}

TEST_F(CompletionRoutes, AClientThatLeavesCancelsTheWork) {
  std::thread player([this] {
    model.begin(0);
    model.say(0, "It is");
  });
  const auto response = client()->stream("POST", kChat, {}, chat("bare", R"("stream": true)"),
                                         [](std::string_view) { return false; });
  player.join();
  EXPECT_TRUE(response);
  const auto call = model.call(0);
  for (int i = 0; i < 500 && !call.cancel.cancelled(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(call.cancel.cancelled());
  model.fail(0, base::Code::kCancelled, "the client left");
}

TEST_F(CompletionRoutes, ChoicesInterleave) {
  const auto response = ask(chat("bare", R"("n": 2)"), [this] {
    model.begin(0);
    for (const int choice : {0, 1, 0, 1}) model.say(0, choice == 0 ? "a" : "b", choice);
    model.call(0).sink->on_event(
        llm::ChoiceEnd{.choice = 1, .reason = llm::FinishReason::kLength, .tool_calls = {}});
    model.finish(0, 4);
  });
  const json choices = json::parse(response.body).at("choices");
  EXPECT_EQ(choices.at(0).at("message").at("content"), "aa");
  EXPECT_EQ(choices.at(1).at("message").at("content"), "bb");
  EXPECT_EQ(choices.at(1).at("finish_reason"), "length");
}

TEST_F(CompletionRoutes, PlainCompletions) {
  const auto response =
      send_while("/v1/completions", R"({"model": "bare", "prompt": "2 + 2 =", "max_tokens": 1})",
                 [this] { model.answer(0, {" four"}); });
  const json body = json::parse(response.body);
  EXPECT_EQ(body.at("object"), "text_completion");
  EXPECT_EQ(body.at("choices").at(0).at("text"), " four");
  EXPECT_EQ(model.call(0).request.prompt, "2 + 2 =");
  EXPECT_EQ(response.header("x-permutation-cache"), "bypass");
}

TEST_F(CompletionRoutes, CacheControlReachesTheCache) {
  ask(chat("tiny"), [this] { model.answer(0, {"one"}); });
  const auto fresh = ask(chat("tiny"), [this] { model.answer(1, {"two"}); }, {{"Cache-Control", "no-cache"}});
  EXPECT_THAT(fresh.body, HasSubstr("two"));
  EXPECT_THAT(send("POST", kChat, chat("tiny")).body, HasSubstr("two"));  // it was stored

  const auto missing =
      send("POST", kChat, chat("tiny", R"("max_tokens": 3)"), {{"Cache-Control", "only-if-cached"}});
  EXPECT_EQ(missing.status, 504);
  EXPECT_EQ(error_of(missing).at("code"), "not_cached");
  EXPECT_EQ(send("POST", kChat, chat("tiny"), {{"Cache-Control", "only-if-cached"}}).status, 200);
  EXPECT_EQ(send("POST", kChat, chat("tiny"), {{"Cache-Control", "max-age=x"}}).status, 400);
  EXPECT_EQ(model.calls(), 2);
}

TEST_F(CompletionRoutes, BadInputIsAnswered) {
  const auto unknown = send("POST", kChat, chat("gpt-9"));
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(error_of(unknown).at("code"), "model_not_found");
  EXPECT_EQ(error_of(unknown).at("param"), "model");
  EXPECT_THAT(error_of(unknown).at("message").get<std::string>(), HasSubstr("Available: bare, tiny."));
  EXPECT_THAT(std::string(unknown.header("x-request-id")), StartsWith("req_"));

  const auto malformed = send("POST", kChat, "{");
  EXPECT_EQ(malformed.status, 400);
  EXPECT_EQ(error_of(malformed).at("type"), "invalid_request_error");

  const auto field = send("POST", kChat, chat("tiny", R"("n": 999)"));
  EXPECT_EQ(field.status, 400);
  EXPECT_EQ(error_of(field).at("param"), "n");

  const auto too_long = ask(chat("bare"), [this] {
    model.call(0).sink->on_event(llm::Failed{{base::Code::kTooLarge, "9 tokens too many.", "messages"}});
  });
  EXPECT_EQ(too_long.status, 400);
  EXPECT_EQ(error_of(too_long).at("code"), "context_length_exceeded");
  EXPECT_EQ(model.calls(), 1);
}

/// An engine that no code of the server knows: what it asks of a request, and the reader of it.
struct Chorus {
  static constexpr std::string_view kName = "chorus";
  std::int64_t voices = 1;
  json key() const { return {{"voices", voices}}; }
  friend bool operator==(const Chorus&, const Chorus&) = default;
};

base::Status read_chorus(base::Json value, llm::EngineOptions& into) {
  static constexpr base::Rule<Chorus> kRules[] = {
      {"voices", [](base::Json v, Chorus& c) { return base::integer(v, 1, 8, c.voices); }}};
  return llm::read_engine_options<Chorus>(value, kRules, into);
}

class AddedEngine : public TestServer {
 protected:
  void adjust(ApiOptions& options) override { options.engine_options = {{Chorus::kName, read_chorus}}; }
  std::int64_t voices_of(int call) const { return model.call(call).request.options.get<Chorus>().voices; }
};

TEST_F(AddedEngine, ItsOptionsReachItByEveryApi) {
  const std::string question = R"("messages": [{"role": "user", "content": "Sing."}])";
  const auto sent = [](const std::string& more, int voices) {
    return R"({"model": "bare", "permutation": {"chorus": {"voices": )" + std::to_string(voices) + "}}, " +
           more + "}";
  };
  const std::pair<std::string, std::string> asked[] = {
      {kChat, sent(question, 2)},
      {"/v1/completions", sent(R"("prompt": "Sing.")", 3)},
      {"/v1/messages", sent(question + R"(, "max_tokens": 9)", 4)},
      {"/v1/responses", sent(R"("input": "Sing.")", 5)}};
  for (int i = 0; i < 4; ++i) {
    const auto answer = send_while(asked[i].first, asked[i].second, [&] { model.answer(i, {"La."}); });
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(voices_of(i), i + 2) << asked[i].first;
  }
  const auto refused = send("POST", kChat, sent(question, 9));
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(error_of(refused).at("param"), "permutation.chorus.voices");
}

TEST_F(AddedEngine, ItsOptionsArePartOfTheCachesKey) {
  const auto with = [](int voices) {
    return chat("tiny", R"("permutation": {"chorus": {"voices": )" + std::to_string(voices) + "}}");
  };
  EXPECT_EQ(send_while(kChat, with(2), [this] { model.answer(0, {"La."}); }).header("x-permutation-cache"),
            "miss");
  EXPECT_EQ(send("POST", kChat, with(2)).header("x-permutation-cache"), "hit");
  EXPECT_EQ(send_while(kChat, with(3), [this] { model.answer(1, {"Lala."}); }).header("x-permutation-cache"),
            "miss");
}

}  // namespace
}  // namespace pmt::api
