// What the server refuses, how it says so, and that it stays up.
#include <atomic>
#include <chrono>
#include <thread>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "net/test_peer.h"

namespace pmt::net {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using Clock = std::chrono::steady_clock;

void ok(const HttpRequest&, const std::shared_ptr<Responder>& responder) {
  responder->send({.body = "ok"});
}

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// Reads a refusal up to the end of the connection and checks its shape.
void expect_refusal(TestPeer* peer, int status, const std::string& message_part) {
  const std::string response = peer->read_all();
  EXPECT_EQ(peer->last_error(), "") << "the connection must close, not reset or hang";
  EXPECT_THAT(response, StartsWith("HTTP/1.1 " + std::to_string(status) + " "));
  EXPECT_THAT(response, HasSubstr("\r\nconnection: close\r\n"));
  EXPECT_THAT(response, HasSubstr("\r\ncontent-type: application/json\r\n"));
  const std::size_t body = response.find("\r\n\r\n");
  ASSERT_NE(body, std::string::npos);
  const auto json = nlohmann::json::parse(response.substr(body + 4), nullptr, false);
  ASSERT_TRUE(json.is_object()) << response;
  const auto& error = json["error"];
  EXPECT_THAT(error["message"].get<std::string>(), HasSubstr(message_part));
  EXPECT_EQ(error["type"], status >= 500 ? "server_error" : "invalid_request_error");
  EXPECT_TRUE(error.contains("param") && error["param"].is_null());
  EXPECT_TRUE(error.contains("code") && error["code"].is_null());
}

TEST(HttpServerLimits, ABodyTooLargeIs413EvenIfTheClientSendsAllOfIt) {
  const auto server = start_server(ok, {.body_bytes_max = 1000});
  TestPeer announced(*server);
  announced.request("POST /x", std::string(1'000'000, 'x'));
  expect_refusal(&announced, 413, "limit of 1000 bytes");
  TestPeer waiting(*server);
  waiting.send("POST / HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 1001\r\n\r\n");
  expect_refusal(&waiting, 413, "1000");
  TestPeer exact(*server);
  exact.request("POST /x", std::string(1000, 'x'));
  EXPECT_THAT(exact.read_response(), StartsWith("HTTP/1.1 200"));
}

TEST(HttpServerLimits, ARefusalHasTheShapeOfItsPath) {
  const auto server = start_server(
      ok, {.body_bytes_max = 10, .shape_refusal = [](std::string_view path, HttpResponse& refusal) {
             if (path == "/a b") refusal.body = R"({"shape":"own"})";
           }});
  TestPeer own(*server);
  own.request("POST /a%20b?x=1", std::string(11, 'x'));
  const std::string response = own.read_all();
  EXPECT_THAT(response, StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(response, HasSubstr("\r\ncontent-length: 15\r\n"));
  EXPECT_THAT(response, ::testing::EndsWith("\r\n\r\n{\"shape\":\"own\"}"));
  TestPeer other(*server);
  other.request("POST /b", std::string(11, 'x'));
  expect_refusal(&other, 413, "limit of 10 bytes");
}

TEST(HttpServerLimits, HeadersTooLongAre431) {
  const auto server = start_server(ok, {.header_bytes_max = 2000});
  TestPeer peer(*server);
  peer.send("GET / HTTP/1.1\r\nhost: t\r\nx-long: " + std::string(5000, 'x'));
  expect_refusal(&peer, 431, "limit of 2000 bytes");
}

TEST(HttpServerLimits, NonsenseIs400) {
  const auto server = start_server(ok);
  for (const std::string bytes :
       {"\x16\x03\x01\x02", "hello there\r\n\r\n", "GET /%f HTTP/1.1\r\nhost: t\r\n\r\n"}) {
    TestPeer peer(*server);
    peer.send(bytes);
    expect_refusal(&peer, 400, "");
  }
}

TEST(HttpServerLimits, ARequestThatTakesTooLongIs408) {
  const auto server = start_server(ok, {.request_timeout_s = 1});
  TestPeer header(*server);
  TestPeer body(*server);
  const auto start = Clock::now();
  header.send("GET / HTTP/1.1\r\nho");
  body.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\n\r\nab");
  expect_refusal(&header, 408, "within 1 s");
  expect_refusal(&body, 408, "within 1 s");
  EXPECT_GE(ms_since(start), 950);
  EXPECT_LE(ms_since(start), 4000);
}

TEST(HttpServerLimits, AnIdleConnectionIsClosedButAnAnswerMayTakeItsTime) {
  std::shared_ptr<Responder> kept;
  std::atomic<bool> called{false};
  const auto server = start_server(
      [&](const HttpRequest&, std::shared_ptr<Responder> responder) {
        kept = std::move(responder);
        called = true;
      },
      {.idle_timeout_s = 1, .request_timeout_s = 1, .write_timeout_s = 1});
  TestPeer answering(*server);
  answering.request("GET /slow");
  while (!called) std::this_thread::yield();
  TestPeer idle(*server);
  const auto start = Clock::now();
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_EQ(idle.last_error(), "");
  EXPECT_GE(ms_since(start), 950);
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  kept->send({.body = "done"});
  kept.reset();
  EXPECT_THAT(answering.read_response(), StartsWith("HTTP/1.1 200"));
}

TEST(HttpServerLimits, TooManyConnectionsAre503UntilOneLeaves) {
  const auto server = start_server(ok, {.connections_max = 2});
  TestPeer first(*server);
  TestPeer second(*server);
  for (auto* peer : {&first, &second}) {
    peer->request("GET /");
    EXPECT_THAT(peer->read_response(), StartsWith("HTTP/1.1 200"));
  }
  const auto refused = client_of(*server)->request("POST", "/", {}, "body");
  ASSERT_TRUE(refused) << refused.error().message;
  EXPECT_EQ(refused->status, 503);
  EXPECT_EQ(refused->header("retry-after"), "1");
  TestPeer third(*server);
  third.request("GET /");
  expect_refusal(&third, 503, "too many connections");

  first.close();
  third.close();
  int status = 503;
  for (int tries = 0; tries < 100 && status == 503; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (const auto response = client_of(*server)->request("GET", "/", {}, "")) status = response->status;
  }
  EXPECT_EQ(status, 200);
}

TEST(HttpServerLimits, ASlowReaderBlocksNobodyAndIsCutOffInTime) {
  std::atomic<int> left{0};
  const std::string big(30 * 1024 * 1024, 'x');
  const auto server = start_server(
      [&](const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
        if (request.path != "/big") return ok(request, responder);
        responder->on_disconnect([&] { ++left; });
        responder->start_stream({});
        responder->write(big);
      },
      {.write_timeout_s = 1});
  TestPeer slow(*server);
  slow.request("GET /big");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const auto start = Clock::now();
  const auto client = client_of(*server);
  for (int i = 0; i < 100; ++i) {
    const auto response = client->request("GET", "/small", {}, "");
    ASSERT_TRUE(response);
    EXPECT_EQ(response->body, "ok");
  }
  EXPECT_LT(ms_since(start), 1000);
  // The stream was dropped at its end, so nobody waits for the slow client; the server lets go of it by
  // itself.
  EXPECT_EQ(left, 0);
}

TEST(HttpServerLimits, AStreamTakenTooSlowlyCountsAsLeft) {
  std::atomic<bool> left{false};
  std::shared_ptr<Responder> stream;
  std::atomic<bool> called{false};
  const auto server = start_server(
      [&](const HttpRequest&, std::shared_ptr<Responder> responder) {
        responder->on_disconnect([&] { left = true; });
        responder->start_stream({});
        stream = std::move(responder);
        called = true;
      },
      {.write_timeout_s = 1, .output_bytes_max = 100'000});
  TestPeer slow(*server);
  slow.request("GET /");
  while (!called) std::this_thread::yield();
  const auto start = Clock::now();
  while (!left && ms_since(start) < 8000) {
    stream->write(std::string(50'000, 'x'));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(left);
  stream.reset();
}

TEST(HttpServerLimits, AStreamTakenTooSlowlyEndsWithAnErrorThatSaysSo) {
  std::atomic<bool> left{false};
  std::shared_ptr<Responder> stream;
  std::atomic<bool> called{false};
  const auto server = start_server(
      [&](const HttpRequest&, std::shared_ptr<Responder> responder) {
        responder->on_disconnect([&] { left = true; });
        responder->start_stream({200, {{"content-type", "text/event-stream"}}, {}});
        stream = std::move(responder);
        called = true;
      },
      {.write_timeout_s = 5, .output_bytes_max = 100'000});
  TestPeer slow(*server);
  slow.request("GET /");
  while (!called) std::this_thread::yield();
  // Only the server's thread can tell that it is too much, once the socket takes something again.
  std::string read;
  for (int i = 0; i < 2000; ++i) stream->write(std::string(50'000, 'x'));
  const std::string all = slow.read_all();
  EXPECT_THAT(all.substr(all.rfind("data: ")), ::testing::HasSubstr("more than 100000 bytes"));
  EXPECT_THAT(all, ::testing::EndsWith("\n\n\r\n0\r\n\r\n"));
  EXPECT_LT(all.size(), 2000U * 50'000) << "it wasn't sent whole";
  EXPECT_TRUE(left) << "whoever computes is told to stop";
  stream->write("after the end");
  stream->finish_stream();
}

/// Not the client is slow here: all of it is written before the connection could send any.
TEST(HttpServerLimits, ALongAnswerAtOnceIsSentWhole) {
  const auto server = start_server(
      [](const HttpRequest&, const std::shared_ptr<Responder>& responder) {
        responder->start_stream({200, {{"content-type", "text/event-stream"}}, "begin"});
        for (int i = 0; i < 7; ++i) responder->write(std::string(100'000, 'x'));
        responder->finish_stream();
      },
      {.output_bytes_max = 100'000});
  const auto response = client_of(*server)->request("GET", "/", {}, "");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "begin" + std::string(700'000, 'x'));
}

}  // namespace
}  // namespace pmt::net
