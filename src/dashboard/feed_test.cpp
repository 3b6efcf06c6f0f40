#include "dashboard/feed.h"

#include <atomic>
#include <chrono>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/sse.h"
#include "net/test_peer.h"

namespace pmt::dashboard {
namespace {

TEST(Feed, SendsASnapshotAtOnceAndOneEachPeriodUntilTheListenerLeaves) {
  std::atomic<int> made{0};
  Feed feed({.snapshot = [&] { return std::to_string(++made); }, .period_ms = 10});
  const auto server =
      net::start_server([&](const net::HttpRequest&, std::shared_ptr<net::Responder> responder) {
        feed.listen(std::move(responder));
      });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(made, 0) << "nobody listens, nothing is made";
  std::vector<std::string> got;
  net::SseParser parser;
  const auto response = net::client_of(*server)->stream("GET", "/", {}, "", [&](std::string_view bytes) {
    for (auto& event : parser.feed(bytes)) got.push_back(std::move(event));
    return got.size() < 4;
  });
  ASSERT_TRUE(response);
  EXPECT_EQ(response->header("content-type"), "text/event-stream; charset=utf-8");
  EXPECT_EQ(std::vector<std::string>(got.begin(), got.begin() + 4),
            (std::vector<std::string>{"1", "2", "3", "4"}));
  for (int i = 0; i < 500 && feed.listeners() > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(feed.listeners(), 0U);
}

TEST(Feed, TooManyListenersAreTurnedAwayAndCloseEndsTheStreams) {
  Feed feed({.snapshot = [] { return std::string("x"); }, .period_ms = 5, .listeners_max = 1});
  const auto server =
      net::start_server([&](const net::HttpRequest&, std::shared_ptr<net::Responder> responder) {
        if (!feed.listen(responder)) responder->send({.status = 503});
      });
  net::TestPeer first(*server);
  first.request("GET /");
  first.read_until("data: x\n\n\r\n");
  net::TestPeer second(*server);
  second.request("GET /");
  EXPECT_THAT(second.read_until("\r\n\r\n"), ::testing::HasSubstr("503"));
  feed.close();
  EXPECT_THAT(first.read_until("0\r\n\r\n"), ::testing::EndsWith("0\r\n\r\n")) << "ended, not broken off";
}

TEST(Feed, ASnapshotThatFailsIsLeftOut) {
  std::atomic<int> made{0};
  Feed feed({.snapshot = [&made]() -> std::string {
               if (++made % 2 == 0) throw std::runtime_error("no snapshot");
               return std::to_string(made);
             },
             .period_ms = 5});
  const auto server =
      net::start_server([&](const net::HttpRequest&, std::shared_ptr<net::Responder> responder) {
        feed.listen(std::move(responder));
      });
  net::TestPeer peer(*server);
  peer.request("GET /");
  EXPECT_THAT(peer.read_until("data: 5\n\n\r\n"), ::testing::HasSubstr("data: 3"));
}

}  // namespace
}  // namespace pmt::dashboard
