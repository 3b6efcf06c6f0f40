#include "net/http_client.h"

#include <chrono>
#include <thread>

#include <gmock/gmock.h>

#include "net/test_peer.h"

namespace pmt::net {
namespace {

using ::testing::HasSubstr;

TEST(HttpClient, SaysWhereNobodyAnswers) {
  std::uint16_t port = 0;
  {
    const auto server = start_server([](const HttpRequest&, const std::shared_ptr<Responder>&) {});
    port = server->port();
  }
  const std::string url = "http://127.0.0.1:" + std::to_string(port);
  const auto client = HttpClient::connect(url, 2);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, base::Code::kUnavailable);
  EXPECT_THAT(client.error().message, HasSubstr(url));
  EXPECT_THAT(client.error().message, HasSubstr("is the server running? Start it with: permutation serve"));
}

TEST(HttpClient, RefusesAUrlThatIsNone) {
  for (const char* url :
       {"", "localhost:80", "https://localhost/v1", "https://", "http://", "http://:80",
        "http://h:", "http://h:x", "http://h:70000", "http://h/v1", "http://u@h", "http://[::1"}) {
    const auto client = HttpClient::connect(url, 1);
    ASSERT_FALSE(client) << url;
    EXPECT_EQ(client.error().code, base::Code::kInvalidArgument) << url;
  }
}

TEST(HttpClient, RefusesAHeaderThatHoldsTwoLines) {
  const auto server = start_server(
      [](const HttpRequest&, const std::shared_ptr<Responder>& responder) { responder->send({}); });
  const auto client = client_of(*server);
  EXPECT_FALSE(client->request("GET", "/", {{"x", "a\r\ny: b"}}, ""));
  EXPECT_FALSE(client->request("GET", "/a b", {}, ""));
  EXPECT_TRUE(client->request("GET", "/", {}, ""));
}

TEST(HttpClient, OpensAConnectionThatTheServerClosedOnceMore) {
  const auto server = start_server(
      [](const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
        responder->send({.body = request.peer});
      },
      {.idle_timeout_s = 1});
  const auto client = client_of(*server);
  const auto first = client->request("GET", "/", {}, "");
  const auto second = client->request("GET", "/", {}, "");
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  const auto third = client->request("GET", "/", {}, "");
  ASSERT_TRUE(first && second && third);
  EXPECT_EQ(first->body, second->body);
  EXPECT_NE(second->body, third->body);
}

TEST(HttpClient, GivesUpAfterItsTimeout) {
  std::vector<std::shared_ptr<Responder>> kept;
  const auto server = start_server([&](const HttpRequest&, std::shared_ptr<Responder> responder) {
    kept.push_back(std::move(responder));
  });
  const auto response = client_of(*server, 1)->request("GET", "/", {}, "");
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, base::Code::kDeadline);
  server->stop(0);
}

TEST(HttpClient, StreamsPiecesAsTheyComeAndHangsUpWhenTold) {
  std::shared_ptr<Responder> stream;
  std::atomic<bool> left{false};
  const auto server = start_server([&](const HttpRequest&, std::shared_ptr<Responder> responder) {
    responder->on_disconnect([&] { left = true; });
    responder->start_stream({.body = "first"});
    stream = std::move(responder);
  });
  const auto client = client_of(*server);
  std::string got;
  const auto response = client->stream("GET", "/", {}, "", [&](std::string_view bytes) {
    got.append(bytes);
    if (got == "first") stream->write("second");
    return got != "firstsecond";
  });
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(got, "firstsecond");
  for (int i = 0; i < 200 && !left; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_TRUE(left);
  server->stop(0);
  stream.reset();
}

TEST(HttpClient, CollectsAnErrorInsteadOfStreamingIt) {
  const auto server = start_server([](const HttpRequest&, const std::shared_ptr<Responder>& responder) {
    responder->send({.status = 404, .body = "no such model"});
  });
  bool streamed = false;
  const auto response = client_of(*server)->stream("POST", "/", {}, "{}", [&](std::string_view) {
    streamed = true;
    return true;
  });
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 404);
  EXPECT_EQ(response->body, "no such model");
  EXPECT_FALSE(streamed);
}

}  // namespace
}  // namespace pmt::net
