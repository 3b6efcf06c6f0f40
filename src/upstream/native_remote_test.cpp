// A model whose server speaks the Messages or the Responses API, against a real server on loopback.
#include <deque>
#include <mutex>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "llm/sinks.h"
#include "net/sse.h"
#include "net/test_peer.h"
#include "upstream/remote_completer.h"

namespace pmt::upstream {
namespace {

using base::Code;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using json = nlohmann::json;

const net::Headers kSse = {{"content-type", "text/event-stream"}};

std::string named_event(const std::string& data) {
  return "event: " + json::parse(data)["type"].get<std::string>() + "\ndata: " + data + "\n\n";
}

const std::string kMessage =
    R"({"type":"message","content":[{"type":"text","text":"so"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":1}})";
const std::string kResponse =
    R"({"status":"completed","error":null,"output":[{"type":"message","content":[{"type":"output_text","text":"so"}]}],"usage":{"input_tokens":3,"output_tokens":1}})";

class NativeRemoteTest : public testing::Test {
 protected:
  void TearDown() override {
    client_->stop();
    server_->stop(0);
  }
  std::unique_ptr<RemoteCompleter> make(llm::Api api) {
    RemoteOptions out;
    out.name = "p/m";
    out.provider = "p";
    out.model = "own-name";
    out.base_url = *net::parse_url("http://127.0.0.1:" + std::to_string(server_->port()) + "/v1");
    out.api = api;
    out.api_key = "sk-x";
    out.retries.backoff_s = 0.01;
    return RemoteCompleter::create(std::move(out), *client_, clock_, [] { return 0.5; });
  }
  static llm::Request question(bool stream = false) {
    llm::Request request;
    request.model = "p/m";
    request.stream = stream;
    request.messages.push_back(
        {.role = "user", .content = "capital?", .name = {}, .tool_calls = {}, .tool_call_id = {}});
    return request;
  }
  /// As a caller wrote it, in chat and perhaps in another API's words.
  static llm::Request written(const std::string& chat, std::optional<llm::SentBody::Own> own = {}) {
    llm::Request request = question();
    const auto sent = std::make_shared<llm::SentBody>();
    sent->text = chat;
    for (base::JsonMember& member : base::members_of(sent->text))
      sent->members.push_back({std::move(member), false});
    sent->own = std::move(own);
    request.sent = sent;
    return request;
  }
  static std::vector<llm::Event> ask(RemoteCompleter& remote, llm::Request request) {
    const auto sink = std::make_shared<llm::CollectingSink>();
    remote.start(std::move(request), sink, {});
    return sink->wait();
  }
  static base::Error failure(const std::vector<llm::Event>& events) {
    const auto* failed = std::get_if<llm::Failed>(&events.back());
    return failed == nullptr ? base::Error{Code::kInternal, "it did not fail"} : failed->error;
  }
  void script(std::deque<net::HttpResponse> answers) {
    const std::lock_guard lock(mutex_);
    answers_ = std::move(answers);
  }
  net::HttpRequest last() {
    const std::lock_guard lock(mutex_);
    return requests_.back();
  }
  std::size_t asked() {
    const std::lock_guard lock(mutex_);
    return requests_.size();
  }

  std::mutex mutex_;
  std::deque<net::HttpResponse> answers_;  // guarded by mutex_, like
  std::vector<net::HttpRequest> requests_;
  base::SystemClock clock_;
  std::unique_ptr<net::HttpServer> server_ = net::start_server(
      [this](const net::HttpRequest& request, const std::shared_ptr<net::Responder>& responder) {
        net::HttpResponse answer{500, {}, "the script is over"};
        {
          const std::lock_guard lock(mutex_);
          requests_.push_back(request);
          if (!answers_.empty()) {
            answer = std::move(answers_.front());
            answers_.pop_front();
          }
        }
        responder->send(std::move(answer));
      });
  std::unique_ptr<net::AsyncClient> client_ = std::move(*net::AsyncClient::create({}));
};

TEST_F(NativeRemoteTest, MessagesAreAskedInTheirOwnWay) {
  const auto remote = make(llm::Api::kMessages);
  script({{200, {}, kMessage}});
  llm::Request request = question();
  request.sampling.seed = 5;
  const auto events = ask(*remote, request);
  EXPECT_EQ(llm::text_of(events), "so");
  EXPECT_EQ(last().path, "/v1/messages");
  EXPECT_EQ(last().header("x-api-key"), "sk-x");
  EXPECT_EQ(last().header("anthropic-version"), "2023-06-01");
  EXPECT_EQ(last().header("authorization"), "");
  EXPECT_EQ(
      json::parse(last().body),
      json::parse(
          R"({"model":"own-name","max_tokens":8192,"messages":[{"role":"user","content":"capital?"}]})"));
  EXPECT_THAT(std::get<llm::Done>(events.back()).report.ignored, ElementsAre("seed"));
}

TEST_F(NativeRemoteTest, ResponsesAreAskedInTheirOwnWay) {
  const auto remote = make(llm::Api::kResponses);
  script({{200, {}, kResponse}});
  EXPECT_EQ(llm::text_of(ask(*remote, question())), "so");
  EXPECT_EQ(last().path, "/v1/responses");
  EXPECT_EQ(last().header("authorization"), "Bearer sk-x");
  EXPECT_EQ(last().header("anthropic-version"), "");
  EXPECT_EQ(json::parse(last().body)["input"], json::parse(R"([{"role":"user","content":"capital?"}])"));
}

TEST_F(NativeRemoteTest, StreamsAreReadAsTheyCome) {
  script(
      {{200, kSse,
        named_event(R"({"type":"message_start","message":{"usage":{"input_tokens":3}}})") +
            named_event(R"({"type":"ping"})") +
            named_event(
                R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})") +
            named_event(
                R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"so"}})") +
            named_event(R"({"type":"content_block_stop","index":0})") +
            named_event(
                R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}})") +
            named_event(R"({"type":"message_stop"})")},
       {200, kSse,
        named_event(R"({"type":"response.created","response":{"created_at":1}})") +
            named_event(R"({"type":"response.output_text.delta","output_index":0,"delta":"so"})") +
            named_event(
                R"({"type":"response.completed","response":{"status":"completed","output":[],"usage":{"input_tokens":3,"output_tokens":1}}})")}});
  for (const llm::Api api : {llm::Api::kMessages, llm::Api::kResponses}) {
    const auto remote = make(api);
    const auto events = ask(*remote, question(true));
    EXPECT_EQ(llm::text_of(events), "so");
    ASSERT_TRUE(std::holds_alternative<llm::Done>(events.back())) << failure(events).message;
    EXPECT_EQ(std::get<llm::Done>(events.back()).usage.prompt_tokens, 3);
    EXPECT_EQ(json::parse(last().body)["stream"], true);
    EXPECT_FALSE(json::parse(last().body).contains("stream_options"));
  }
}

TEST_F(NativeRemoteTest, TheCallersOwnWordsGoOnAsTheyWereWritten) {
  const std::string own =
      R"({ "model" : "p/m","max_tokens":5,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":[{"type":"text","text":"\u00e9","citations":null}]}],"permutation":{}})";
  const auto remote = make(llm::Api::kMessages);
  script({{200, {}, kMessage}, {200, {}, kMessage}, {200, {}, kMessage}});
  const std::string chat = R"({"model":"p/m","max_tokens":5,"messages":[{"role":"user","content":"é"}]})";
  (void)ask(*remote, written(chat, llm::SentBody::Own{llm::Api::kMessages, own}));
  EXPECT_EQ(
      last().body,
      R"({ "model" : "own-name","max_tokens":5,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":[{"type":"text","text":"\u00e9","citations":null}]}]})");
  (void)ask(*remote, written(chat, llm::SentBody::Own{llm::Api::kResponses, R"({"input":"é"})"}));
  EXPECT_EQ(json::parse(last().body)["messages"][0]["content"], "é") << "another API's words are translated";
  llm::Request cut = written(chat, llm::SentBody::Own{llm::Api::kMessages, own});
  cut.max_tokens = 2;
  (void)ask(*remote, cut);
  EXPECT_EQ(json::parse(last().body)["max_tokens"], 2) << "an engine wants it otherwise";
}

TEST_F(NativeRemoteTest, WhatOnlyWeActOnIsLeftOut) {
  const auto remote = make(llm::Api::kResponses);
  script({{200, {}, kResponse}});
  (void)ask(
      *remote,
      written(
          R"({"messages":[]})",
          llm::SentBody::Own{
              llm::Api::kResponses,
              R"({"model":"p/m","input":"x","background":true,"previous_response_id":"resp_1","store":true,"stream":true})"}));
  EXPECT_EQ(last().body, R"({"model":"own-name","input":"x","store":true})");
}

TEST_F(NativeRemoteTest, ErrorsHaveTheirMeaning) {
  const auto remote = make(llm::Api::kMessages);
  const std::string busy = R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})";
  script({{529, {}, busy}, {200, {}, kMessage}});
  EXPECT_EQ(llm::text_of(ask(*remote, question())), "so") << "tried again";
  script({{200, kSse, named_event(busy)}, {200, {}, kMessage}});
  EXPECT_EQ(llm::text_of(ask(*remote, question(true))), "so") << "nothing was passed on";
  script(
      {{400,
        {},
        R"({"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too large"}})"}});
  const auto refused = failure(ask(*remote, question()));
  EXPECT_EQ(refused.code, Code::kInvalidArgument);
  EXPECT_THAT(refused.message, HasSubstr("upstream p: it answered 400: max_tokens: too large"));
  ASSERT_NE(refused.foreign, nullptr);
  EXPECT_EQ(refused.foreign->type, "invalid_request_error");
}

TEST_F(NativeRemoteTest, WhatCannotBeSaidIsRefusedBeforeItIsAsked) {
  const auto remote = make(llm::Api::kMessages);
  llm::Request many = question();
  many.n = 2;
  EXPECT_EQ(failure(ask(*remote, many)).field, "n");
  llm::Request text;
  text.endpoint = llm::Endpoint::kCompletions;
  text.prompt = "Once";
  EXPECT_EQ(failure(ask(*remote, text)).field, "prompt");
  EXPECT_EQ(asked(), 0U);
  EXPECT_EQ(remote->stats().running, 0);
}

}  // namespace
}  // namespace pmt::upstream
