// Against a real server on loopback.
#include "upstream/remote_forwarder.h"

#include <deque>
#include <future>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <gmock/gmock.h>

#include "net/test_peer.h"

namespace pmt::upstream {
namespace {

using ::testing::HasSubstr;

class ForwarderTest : public testing::Test {
 protected:
  void TearDown() override {
    client_->stop();
    server_->stop(0);
  }
  RemoteOptions options() const {
    RemoteOptions out;
    out.name = "p/e";
    out.provider = "p";
    out.model = "own";
    out.base_url = *net::parse_url("http://127.0.0.1:" + std::to_string(server_->port()) + "/v1");
    out.retries.backoff_s = 0.01;
    return out;
  }
  std::unique_ptr<llm::Forwarder> make(RemoteOptions options) {
    return make_forwarder(std::move(options), "/embeddings", *client_, clock_, [] { return 0.5; });
  }
  using Answer = base::Result<std::string>;
  static std::future<Answer> begin(llm::Forwarder& forwarder, const std::string& body,
                                   const base::CancelToken& cancel = {}) {
    const auto answered = std::make_shared<std::promise<Answer>>();
    forwarder.forward({.body = body, .id = "req-1", .traceparent = {}}, cancel,
                      [answered](Answer answer) { answered->set_value(std::move(answer)); });
    return answered->get_future();
  }
  Answer ask(const std::string& body) {
    const auto forwarder = make(options());
    return begin(*forwarder, body).get();
  }
  std::size_t asked() {
    const std::lock_guard lock(mutex_);
    return requests_.size();
  }
  void wait_for_requests(std::size_t count) {
    for (int i = 0; i < 1000 && asked() < count; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ASSERT_EQ(asked(), count);
  }
  void script(std::deque<net::HttpResponse> answers) {
    const std::lock_guard lock(mutex_);
    answers_ = std::move(answers);
  }

  std::mutex mutex_;
  std::deque<net::HttpResponse> answers_;  // guarded by mutex_, like
  std::vector<net::HttpRequest> requests_;
  bool silent_ = false;  // requests are kept unanswered
  std::vector<std::shared_ptr<net::Responder>> kept_;
  base::SystemClock clock_;
  std::unique_ptr<net::HttpServer> server_ = net::start_server(
      [this](const net::HttpRequest& request, const std::shared_ptr<net::Responder>& responder) {
        net::HttpResponse answer{500, {}, "the script is over"};
        {
          const std::lock_guard lock(mutex_);
          requests_.push_back(request);
          if (silent_) return kept_.push_back(responder);
          if (!answers_.empty()) {
            answer = std::move(answers_.front());
            answers_.pop_front();
          }
        }
        responder->send(std::move(answer));
      });
  std::unique_ptr<net::AsyncClient> client_ = std::move(*net::AsyncClient::create({}));
};

TEST_F(ForwarderTest, OnlyTheModelsNameChanges) {
  script({{503, {}, "busy"}, {200, {}, R"({"model": "own-2024", "data":[{"embedding":[1.50,-0]}],"x":1})"}});
  const auto answer = ask(R"({"input" : ["a"], "model": "p/e","dimensions":3,"permutation":{}})");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(*answer, R"({"model": "p/e", "data":[{"embedding":[1.50,-0]}],"x":1})");
  ASSERT_EQ(requests_.size(), 2U) << "busy may go better";
  EXPECT_EQ(requests_[1].path, "/v1/embeddings");
  EXPECT_EQ(requests_[1].body, R"({"input" : ["a"], "model": "own","dimensions":3})");
  EXPECT_EQ(requests_[1].header("x-request-id"), "req-1");
}

TEST_F(ForwarderTest, AFailureIsNamed) {
  script({{400, {}, R"({"error":{"message":"too long","type":"t","code":"c","param":"input"}})"}});
  const auto refused = ask(R"({"model":"p/e"})");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, base::Code::kInvalidArgument);
  EXPECT_EQ(refused.error().field, "input");
  EXPECT_EQ(refused.error().foreign->code, "c");
  EXPECT_THAT(refused.error().message, HasSubstr("upstream p: "));
  for (const char* nonsense : {"<html>", "[1]", "", "{\"a\":"}) {
    script({{200, {}, nonsense}, {200, {}, nonsense}, {200, {}, nonsense}});
    const auto answer = ask(R"({"model":"p/e"})");
    ASSERT_FALSE(answer) << nonsense;
    EXPECT_EQ(answer.error().code, base::Code::kBadGateway) << nonsense;
  }
}

TEST_F(ForwarderTest, ARedirectionIsABadGateway) {
  const net::HttpResponse moved{302, {{"location", "/elsewhere"}}, "{}"};
  script({moved, moved, moved});
  const auto answer = ask(R"({"model":"p/e"})");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, base::Code::kBadGateway);
  EXPECT_THAT(answer.error().message, HasSubstr("upstream p: it answered 302"));
}

TEST_F(ForwarderTest, WhatAServerThatStopsEndsIsUnavailable) {
  silent_ = true;
  const auto forwarder = make(options());
  auto answer = begin(*forwarder, R"({"model":"p/e"})");
  wait_for_requests(1);
  client_->stop();
  const auto ended = answer.get();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, base::Code::kUnavailable);
  EXPECT_THAT(ended.error().message, HasSubstr("shutting down"));
}

TEST_F(ForwarderTest, ACallerWhoLeavesIsNotTriedAgain) {
  silent_ = true;
  const auto forwarder = make(options());
  const base::CancelToken cancel;
  auto answer = begin(*forwarder, R"({"model":"p/e"})", cancel);
  wait_for_requests(1);
  cancel.cancel();
  EXPECT_EQ(answer.get().error().code, base::Code::kCancelled);
  EXPECT_EQ(asked(), 1U);
}

TEST_F(ForwarderTest, MoreThanMayRunWait) {
  silent_ = true;
  RemoteOptions narrow = options();
  narrow.concurrent_max = 1;
  narrow.queue_max = 1;
  const auto forwarder = make(narrow);
  const base::CancelToken cancel;
  auto first = begin(*forwarder, R"({"model":"p/e"})", cancel);
  auto second = begin(*forwarder, R"({"model":"p/e","x":2})");
  const auto third = begin(*forwarder, R"({"model":"p/e"})").get();
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, base::Code::kUnavailable);
  EXPECT_THAT(third.error().message, HasSubstr("1 requests wait already"));
  wait_for_requests(1);
  {
    const std::lock_guard lock(mutex_);
    silent_ = false;
    answers_ = {{200, {}, R"({"model":"own","second":true})"}};
  }
  cancel.cancel();
  EXPECT_EQ(first.get().error().code, base::Code::kCancelled);
  EXPECT_EQ(second.get().value(), R"({"model":"p/e","second":true})");
}

TEST_F(ForwarderTest, FailingOftenItIsLeftAlone) {
  RemoteOptions once = options();
  once.retries.attempts_more = 0;
  once.cooldown = {.failures = 2, .cooldown_s = 600};
  const auto forwarder = make(once);
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(begin(*forwarder, R"({"model":"p/e"})").get());
  const auto cool = begin(*forwarder, R"({"model":"p/e"})").get();
  ASSERT_FALSE(cool);
  EXPECT_EQ(cool.error().code, base::Code::kUnavailable);
  EXPECT_THAT(cool.error().message, HasSubstr("upstream p: it failed too often"));
  EXPECT_GT(cool.error().retry_after_s, 1);
  EXPECT_EQ(asked(), 2U);
}

TEST_F(ForwarderTest, ACallersExceptionEndsItsCallOnly) {
  script({{200, {}, R"({"n":1})"}, {200, {}, R"({"n":2})"}});
  RemoteOptions narrow = options();
  narrow.concurrent_max = 1;
  const auto forwarder = make(narrow);
  forwarder->forward({.body = R"({"model":"p/e"})", .id = "req-1", .traceparent = {}}, {},
                     [](const Answer&) { throw std::runtime_error("a caller's own"); });
  const auto answer = begin(*forwarder, R"({"model":"p/e"})").get();
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_THAT(*answer, HasSubstr("\"n\":2"));
}

}  // namespace
}  // namespace pmt::upstream
