// What a well-behaved client sees; the limits and the streams have tests of their own.
#include "net/http_server.h"

#include <atomic>
#include <ctime>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>

#include "net/test_peer.h"

namespace pmt::net {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

void echo(const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
  responder->send({.headers = {{"content-type", "text/plain"}, {"x-method", request.method}},
                   .body = request.path + "|" + request.body});
}

/// Keeps Responders for the test to answer.
class Parked {
 public:
  Handler handler() {
    return [this](HttpRequest request, std::shared_ptr<Responder> responder) {
      std::lock_guard lock(mutex_);
      requests_.push_back(std::move(request));
      responders_.push_back(std::move(responder));
      ++count_;
    };
  }
  std::shared_ptr<Responder> wait_for(std::size_t nth) {
    while (count_ <= nth) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::lock_guard lock(mutex_);
    return std::exchange(responders_[nth], nullptr);
  }
  HttpRequest request(std::size_t nth) {
    std::lock_guard lock(mutex_);
    return requests_[nth];
  }
  std::size_t count() const { return count_; }

 private:
  std::mutex mutex_;
  std::vector<HttpRequest> requests_;
  std::vector<std::shared_ptr<Responder>> responders_;
  std::atomic<std::size_t> count_{0};
};

TEST(HttpServer, AnswersAndKeepsTheConnection) {
  std::mutex mutex;
  std::vector<std::string> peers;
  const auto server =
      start_server([&](const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
        {
          std::lock_guard lock(mutex);
          peers.push_back(request.peer);
        }
        echo(request, responder);
      });
  TestPeer peer(*server);
  for (const char* body : {"one", "two"}) {
    peer.request("POST /a%20b", body);
    const std::string response = peer.read_response();
    EXPECT_THAT(response, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(response, HasSubstr("\r\ndate: "));
    EXPECT_THAT(response, HasSubstr(" GMT\r\n"));
    EXPECT_THAT(response, HasSubstr("\r\nx-method: POST\r\n"));
    EXPECT_THAT(response, EndsWith(std::string("\r\n\r\n/a b|") + body));
    EXPECT_THAT(response, Not(HasSubstr("connection:")));
  }
  std::lock_guard lock(mutex);
  ASSERT_EQ(peers.size(), 2u);
  EXPECT_EQ(peers[0], peers[1]) << "one connection";
  EXPECT_THAT(peers[0], StartsWith("127.0.0.1:"));
}

TEST(HttpServer, ClosesWhenAskedTo) {
  const auto server = start_server(echo);
  TestPeer http11(*server);
  http11.send("GET /x HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
  EXPECT_THAT(http11.read_all(), HasSubstr("\r\nconnection: close\r\n"));
  TestPeer http10(*server);
  http10.send("GET /x HTTP/1.0\r\n\r\n");
  EXPECT_THAT(http10.read_all(), EndsWith("/x|"));
  EXPECT_EQ(http10.last_error(), "");
  TestPeer kept10(*server);
  kept10.send("GET /x HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
  EXPECT_THAT(kept10.read_response(), HasSubstr("\r\nconnection: keep-alive\r\n"));
}

TEST(HttpServer, AnswersPipelinedRequestsInOrder) {
  const auto server = start_server(echo);
  TestPeer peer(*server);
  std::string stream;
  for (int i = 0; i < 100; ++i) {
    const std::string body(static_cast<std::size_t>(i * 7), 'b');
    stream += "POST /" + std::to_string(i) +
              " HTTP/1.1\r\nhost: t\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  // Cut in the middle of a request line and of a body.
  for (std::size_t at = 0; at < stream.size(); at += 1009)
    peer.send(std::string_view(stream).substr(at, 1009));
  for (int i = 0; i < 100; ++i) {
    const std::string body(static_cast<std::size_t>(i * 7), 'b');
    EXPECT_THAT(peer.read_response(), EndsWith("\r\n\r\n/" + std::to_string(i) + "|" + body));
  }
}

TEST(HttpServer, KeepsPipelinedBytesWhileAnAnswerIsPending) {
  Parked parked;
  const auto server = start_server(parked.handler());
  TestPeer peer(*server);
  peer.request("POST /first", "1");
  auto first = parked.wait_for(0);
  // More than the server reads ahead, so that it must stop and go on reading.
  const std::string big(300'000, 'x');
  std::thread sender([&] {
    peer.request("POST /second", big);
    peer.request("POST /third", "3");
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(parked.count(), 1u) << "one answer at a time";
  first->send({.body = "one"});
  parked.wait_for(1)->send({.body = "two"});
  parked.wait_for(2)->send({.body = "three"});
  sender.join();
  EXPECT_THAT(peer.read_response(), EndsWith("\r\n\r\none"));
  EXPECT_THAT(peer.read_response(), EndsWith("\r\n\r\ntwo"));
  EXPECT_THAT(peer.read_response(), EndsWith("\r\n\r\nthree"));
  EXPECT_EQ(parked.request(1).body, big);
}

TEST(HttpServer, CarriesBigBodiesBothWays) {
  const auto server = start_server(echo);
  const auto client = client_of(*server);
  std::string body(20 * 1024 * 1024, 'x');
  for (std::size_t i = 0; i < body.size(); i += 997) body[i] = static_cast<char>('a' + i % 26);
  const auto response = client->request("POST", "/big", {}, body);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_TRUE(response->body == "/big|" + body);
}

TEST(HttpServer, AnswersHeadWithoutABody) {
  const auto server = start_server(echo);
  TestPeer peer(*server);
  peer.request("HEAD /x");
  EXPECT_THAT(peer.read_until("\r\n\r\n"), HasSubstr("\r\ncontent-length: 3\r\n"));
  peer.request("GET /y");
  EXPECT_THAT(peer.read_response(), StartsWith("HTTP/1.1 200 OK\r\n")) << "no stray body before it";
}

TEST(HttpServer, NoContentHasNeitherBodyNorLength) {
  const auto server = start_server([](const HttpRequest&, const std::shared_ptr<Responder>& responder) {
    responder->send({.status = 204, .body = "never"});
  });
  TestPeer peer(*server);
  for (int i = 0; i < 2; ++i) {
    peer.request("DELETE /x");
    const std::string head = peer.read_until("\r\n\r\n");
    EXPECT_THAT(head, StartsWith("HTTP/1.1 204 No Content\r\n"));
    EXPECT_THAT(head, Not(HasSubstr("content-length")));
  }
}

TEST(HttpServer, AHeaderValueCannotBreakOutOfItsLine) {
  const auto server =
      start_server([](const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
        responder->send({.headers = {{"x-echo", request.body}, {"Content-Length", "999"}}, .body = "ok"});
      });
  const auto client = client_of(*server);
  const auto response = client->request("POST", "/", {}, "a\r\nx-evil: 1");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->header("x-echo"), "a  x-evil: 1");
  EXPECT_EQ(response->header("x-evil"), "");
  EXPECT_EQ(response->body, "ok");
}

TEST(HttpServer, SendsContinueWhenTheClientWaitsForIt) {
  const auto server = start_server(echo);
  TestPeer peer(*server);
  peer.send("POST /x HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
  EXPECT_EQ(peer.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  peer.send("bo");
  peer.send("dy");
  EXPECT_THAT(peer.read_response(), EndsWith("/x|body"));
}

TEST(HttpServer, TakesAChunkedUpload) {
  const auto server = start_server(echo);
  TestPeer peer(*server);
  peer.send("POST /up HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel");
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  peer.send("lo\r\n6\r\n world\r\n0\r\n\r\n");
  EXPECT_THAT(peer.read_response(), EndsWith("/up|hello world"));
}

TEST(HttpServer, AnAnswerThatNeverComesIs500) {
  const auto server = start_server([](const HttpRequest& request, const std::shared_ptr<Responder>&) {
    if (request.path == "/throws") throw std::runtime_error("on purpose");
  });
  const auto client = client_of(*server);
  for (const char* path : {"/dropped", "/throws", "/dropped"}) {
    const auto response = client->request("POST", path, {}, "");
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 500);
    EXPECT_EQ(
        response->body,
        R"({"error":{"message":"the server dropped the request without an answer","type":"server_error",)"
        R"("param":null,"code":null}})");
  }
}

TEST(HttpServer, ServesTwoHundredConnectionsAtOnceOnSeveralThreads) {
  for (const int threads : {1, 3}) {
    Parked parked;
    const auto server = start_server(parked.handler(), {.threads = threads});
    std::vector<std::unique_ptr<TestPeer>> peers;
    for (int i = 0; i < 200; ++i) {
      peers.push_back(std::make_unique<TestPeer>(*server));
      peers.back()->request("GET /" + std::to_string(i));
    }
    for (std::size_t i = 0; i < 200; ++i) {
      const auto responder = parked.wait_for(i);
      responder->send({.body = parked.request(i).path});
    }
    for (int i = 0; i < 200; ++i)
      EXPECT_THAT(peers[i]->read_response(), EndsWith("\r\n\r\n/" + std::to_string(i)));
  }
}

TEST(HttpServer, TenThousandRequestsOnOneConnection) {
  constexpr int kRequests = 10'000;
  const auto thread_cpu_us = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
  };
  double first_us = 0;
  double last_us = 0;
  int served = 0;
  const auto server = start_server([&](const HttpRequest&, const std::shared_ptr<Responder>& responder) {
    if (served++ == 0) first_us = thread_cpu_us();
    last_us = thread_cpu_us();
    responder->send({.headers = {{"content-type", "application/json"}}, .body = R"({"ok":true})"});
  });
  const auto client = client_of(*server);
  const std::string body(400, 'q');
  for (int i = 0; i < kRequests; ++i) {
    const auto response = client->request("POST", "/v1/x", {{"content-type", "application/json"}}, body);
    ASSERT_TRUE(response) << i << ": " << response.error().message;
    ASSERT_EQ(response->body, R"({"ok":true})");
  }
  server->stop(0);
  EXPECT_EQ(served, kRequests);
  const double us = (last_us - first_us) / (kRequests - 1);
  std::printf("server CPU: %.1f us a request\n", us);
  RecordProperty("server_cpu_us_per_request", std::to_string(us));
  EXPECT_LT(us, 1000) << "sanitizers included";
}

TEST(HttpServer, SaysWhyItCannotListen) {
  const auto server = start_server(echo);
  const auto taken = HttpServer::start({.port = server->port()}, echo);
  ASSERT_FALSE(taken);
  EXPECT_THAT(taken.error().message,
              HasSubstr("127.0.0.1:" + std::to_string(server->port()) + ": Address already"));
  const auto nowhere = HttpServer::start({.host = "no-such-host.invalid", .port = 0}, echo);
  ASSERT_FALSE(nowhere);
  EXPECT_THAT(nowhere.error().message, HasSubstr("no-such-host.invalid"));
}

}  // namespace
}  // namespace pmt::net
