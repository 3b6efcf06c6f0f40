// Against a real server on loopback.
#include "upstream/remote_forwarder.h"

#include <deque>
#include <future>
#include <mutex>

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
  base::Result<std::string> ask(const std::string& body) {
    RemoteOptions options;
    options.name = "p/e";
    options.provider = "p";
    options.model = "own";
    options.base_url = *net::parse_url("http://127.0.0.1:" + std::to_string(server_->port()) + "/v1");
    options.retries.backoff_s = 0.01;
    const auto forwarder = make_forwarder(options, "/embeddings", *client_, clock_, [] { return 0.5; });
    std::promise<base::Result<std::string>> answered;
    forwarder->forward({.body = body, .id = "req-1", .traceparent = {}}, {},
                       [&](base::Result<std::string> answer) { answered.set_value(std::move(answer)); });
    return answered.get_future().get();
  }
  void script(std::deque<net::HttpResponse> answers) {
    const std::lock_guard lock(mutex_);
    answers_ = std::move(answers);
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

}  // namespace
}  // namespace pmt::upstream
