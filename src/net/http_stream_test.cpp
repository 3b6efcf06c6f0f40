// Streams: order, coalescing, other threads, clients that leave, and stopping.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "net/test_peer.h"

namespace pmt::net {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// Something that one thread tells another, once.
template <class T>
class Box {
 public:
  void put(T value) {
    std::lock_guard lock(mutex_);
    value_ = std::move(value);
    filled_.notify_all();
  }
  std::optional<T> wait(milliseconds limit = milliseconds(10'000)) {
    std::unique_lock lock(mutex_);
    filled_.wait_for(lock, limit, [this] { return value_.has_value(); });
    return std::exchange(value_, std::nullopt);
  }

 private:
  std::mutex mutex_;
  std::condition_variable filled_;
  std::optional<T> value_;
};

using ResponderBox = Box<std::shared_ptr<Responder>>;

Handler park_in(ResponderBox* box) {
  return [box](const HttpRequest&, std::shared_ptr<Responder> responder) { box->put(std::move(responder)); };
}

TEST(HttpStream, KeepsTheOrderOfWritesFromAnotherThread) {
  ResponderBox box;
  const auto server = start_server(park_in(&box));
  std::thread writer([&] {
    const auto stream = *box.wait();
    stream->start_stream({.headers = {{"content-type", "text/event-stream"}}, .body = "first,"});
    for (int i = 0; i < 5000; ++i) stream->write(std::to_string(i) + ",");
    stream->write("");  // an empty chunk would end the body
    stream->finish_stream();
  });
  const auto client = client_of(*server);
  std::string expected = "first,";
  for (int i = 0; i < 5000; ++i) expected += std::to_string(i) + ",";
  std::string got;
  const auto response = client->stream("POST", "/", {}, "", [&](std::string_view bytes) {
    got.append(bytes);
    return true;
  });
  writer.join();
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->header("transfer-encoding"), "chunked");
  EXPECT_EQ(response->header("content-type"), "text/event-stream");
  EXPECT_EQ(response->body, "");
  EXPECT_EQ(got, expected);
}

TEST(HttpStream, SendsEachChunkAtOnceAndWhatIsQueuedTogether) {
  ResponderBox box;
  const auto server = start_server(park_in(&box));
  TestPeer peer(*server);
  peer.request("GET /");
  const auto stream = *box.wait();
  stream->start_stream({});
  EXPECT_THAT(peer.read_until("\r\n\r\n"), HasSubstr("transfer-encoding: chunked"));
  const auto start = Clock::now();
  for (int i = 0; i < 20; ++i) {
    stream->write("tick");
    EXPECT_EQ(peer.read_until("tick\r\n"), "4\r\ntick\r\n");
  }
  EXPECT_LT(ms_since(start), 500) << "no wait for a delayed acknowledgement";
  stream->finish_stream();
  EXPECT_EQ(peer.read_until("0\r\n\r\n"), "0\r\n\r\n");

  // Written inside the handler: head, chunks and end leave in one piece.
  const auto together = start_server([](const HttpRequest&, const std::shared_ptr<Responder>& responder) {
    responder->start_stream({.body = "a"});
    for (int i = 0; i < 50; ++i) responder->write("b");
    responder->finish_stream();
  });
  TestPeer second(*together);
  second.request("GET /");
  const std::string once = second.read_once();
  EXPECT_THAT(once, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(once, EndsWith("1\r\nb\r\n0\r\n\r\n"));
}

/// Silence of less than the sweep's period: each sweep breaks it.
TEST(HttpStream, AStreamThatMayNotBeSilentSaysComments) {
  ResponderBox box;
  const auto server = start_server(park_in(&box));
  std::thread writer([&] {
    const auto stream = *box.wait();
    stream->keep_alive({.headers = {{"content-type", "text/event-stream"}}, .body = {}}, {.after_s = 0.05});
    std::this_thread::sleep_for(milliseconds(900));
    stream->start_stream({.headers = {{"content-type", "text/event-stream"}}, .body = "data: 1\n\n"});
    std::this_thread::sleep_for(milliseconds(900));
    stream->write("data: 2\n\n");
    stream->finish_stream();
  });
  const auto client = client_of(*server);
  std::string got;
  const auto response = client->stream("POST", "/", {}, "", [&](std::string_view bytes) {
    got.append(bytes);
    return true;
  });
  writer.join();
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->header("content-type"), "text/event-stream");
  EXPECT_THAT(got, StartsWith(": still working\n\n"));
  EXPECT_THAT(got, HasSubstr("data: 1\n\n: still working\n\n"));
  EXPECT_THAT(got, EndsWith("data: 2\n\n"));
}

TEST(HttpStream, AnErrorAfterACommentIsTheLastEvent) {
  ResponderBox box;
  const auto server = start_server(park_in(&box));
  std::thread writer([&] {
    const auto stream = *box.wait();
    stream->keep_alive({.headers = {{"content-type", "text/event-stream"}}, .body = {}}, {.after_s = 0.05});
    std::this_thread::sleep_for(milliseconds(900));
    stream->send({502, {}, R"({"error":{"message":"no"}})"});
  });
  const auto client = client_of(*server);
  std::string got;
  const auto response = client->stream("POST", "/", {}, "", [&](std::string_view bytes) {
    got.append(bytes);
    return true;
  });
  writer.join();
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_THAT(got, StartsWith(": still working"));
  EXPECT_THAT(got, EndsWith("data: {\"error\":{\"message\":\"no\"}}\n\n"));
}

TEST(HttpStream, WhoAnswersInTimeIsToldNothing) {
  const auto server = start_server([](const HttpRequest&, const std::shared_ptr<Responder>& responder) {
    responder->keep_alive({.headers = {{"content-type", "text/event-stream"}}, .body = {}}, {.after_s = 60});
    responder->send({404, {}, "{}"});
  });
  const auto response = client_of(*server)->request("POST", "/", {}, "");
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 404);
  EXPECT_EQ(response->body, "{}");
}

TEST(HttpStream, OldClientsGetABodyUpToTheEndAndHeadGetsNone) {
  const auto server = start_server([](const HttpRequest&, const std::shared_ptr<Responder>& responder) {
    responder->start_stream({.body = "one "});
    responder->write("two");
    responder->finish_stream();
  });
  TestPeer old(*server);
  old.send("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
  const std::string answer = old.read_all();
  EXPECT_THAT(answer, Not(HasSubstr("chunked")));
  EXPECT_THAT(answer, EndsWith("\r\n\r\none two"));
  TestPeer head(*server);
  head.request("HEAD /");
  head.read_until("\r\n\r\n");
  head.request("GET /");
  EXPECT_THAT(head.read_until("0\r\n\r\n"), StartsWith("HTTP/1.1 200"));
}

TEST(HttpStream, AClientThatLeavesIsNoticedAtOnce) {
  ResponderBox box;
  const auto server = start_server(park_in(&box));
  for (const bool streaming : {false, true}) {
    Box<Clock::time_point> left;
    std::atomic<int> calls{0};
    TestPeer peer(*server);
    peer.request("POST /", "x");
    const auto responder = *box.wait();
    responder->on_disconnect([&] {
      ++calls;
      left.put(Clock::now());
    });
    if (streaming) {
      responder->start_stream({});
      responder->write("some");
      peer.read_until("some\r\n");
    }
    EXPECT_FALSE(left.wait(milliseconds(50)));
    const auto closed = Clock::now();
    peer.close();
    const auto noticed = left.wait();
    ASSERT_TRUE(noticed);
    EXPECT_LT(std::chrono::duration<double>(*noticed - closed).count(), 0.2);
    // From now on: at once, and everything else does nothing.
    bool at_once = false;
    responder->on_disconnect([&] { at_once = true; });
    EXPECT_TRUE(at_once);
    responder->write("more");
    responder->finish_stream();
    EXPECT_EQ(calls, 1);
  }
}

TEST(HttpStream, NobodyIsCalledAfterACompleteAnswer) {
  ResponderBox box;
  const auto server = start_server(park_in(&box));
  std::atomic<bool> called{false};
  {
    TestPeer peer(*server);
    peer.request("GET /");
    const auto responder = *box.wait();
    // Its captures are let go with the answer, even those that hold the Responder itself.
    responder->on_disconnect([&called, responder] { called = true; });
    responder->send({.body = "done"});
    peer.read_response();
    responder->on_disconnect([&called] { called = true; });
    responder->send({.body = "again"});
    peer.close();
  }
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_FALSE(called);
}

TEST(HttpStream, AHalfClosedClientGetsACompleteAnswer) {
  const std::string big(8 * 1024 * 1024, 'x');
  const auto server = start_server([&](const HttpRequest&, const std::shared_ptr<Responder>& responder) {
    responder->send({.body = big});
  });
  TestPeer peer(*server);
  peer.request("GET /");
  peer.end_sending();
  EXPECT_EQ(peer.read_response().size() > big.size(), true);
}

TEST(HttpStream, AHalfClosedClientGetsAnAnswerThatIsNotThereYet) {
  ResponderBox box;
  const auto server = start_server(park_in(&box));
  for (const milliseconds wait : {milliseconds(0), milliseconds(100), milliseconds(1500)}) {
    std::atomic<bool> left{false};
    TestPeer peer(*server);
    peer.request("GET /");
    auto responder = *box.wait();
    responder->on_disconnect([&] { left = true; });
    peer.end_sending();
    std::this_thread::sleep_for(wait);
    EXPECT_FALSE(left);
    responder->send({.status = 404, .body = "answer"});
    const std::string answer = peer.read_all();
    EXPECT_EQ(peer.last_error(), "");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 404 Not Found\r\ndate: "));
    EXPECT_THAT(answer, EndsWith("\r\n\r\nanswer"));
  }
}

/// The body of chunks, if the last one ends it.
std::optional<std::string> unchunked(std::string_view answer) {
  std::string body;
  answer.remove_prefix(std::min(answer.find("\r\n\r\n"), answer.size() - 4) + 4);
  for (;;) {
    const std::size_t line = answer.find("\r\n");
    if (line == std::string_view::npos) return std::nullopt;
    const std::size_t size = std::stoul(std::string(answer.substr(0, line)), nullptr, 16);
    answer.remove_prefix(line + 2);
    if (size == 0) return answer == "\r\n" ? std::optional(body) : std::nullopt;
    if (answer.size() < size + 2 || answer.substr(size, 2) != "\r\n") return std::nullopt;
    body += answer.substr(0, size);
    answer.remove_prefix(size + 2);
  }
}

TEST(HttpStream, AHalfClosedClientGetsItsWholeStream) {
  ResponderBox box;
  const auto server = start_server(park_in(&box));
  for (const bool begun : {false, true}) {
    for (const milliseconds quiet : {milliseconds(1), milliseconds(1300)}) {
      TestPeer peer(*server);
      peer.request("GET /");
      const auto stream = *box.wait();
      if (begun) stream->start_stream({.body = "a"});
      peer.end_sending();
      std::this_thread::sleep_for(milliseconds(50));
      if (!begun) stream->start_stream({.body = "a"});
      for (int i = 0; i < 20; ++i) stream->write("bc");
      std::this_thread::sleep_for(quiet);
      stream->write(std::string(17, 'd'));
      std::this_thread::sleep_for(quiet);
      stream->finish_stream();
      const std::string answer = peer.read_all();
      EXPECT_EQ(peer.last_error(), "");
      EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
      std::string expected = "a";
      for (int i = 0; i < 20; ++i) expected += "bc";
      EXPECT_EQ(unchunked(answer), expected + std::string(17, 'd')) << answer;
    }
  }
}

TEST(HttpStream, AHalfClosedClientSeesAStreamThatBreaksOff) {
  ResponderBox box;
  for (const bool stopped : {false, true}) {
    auto server = start_server(park_in(&box));
    TestPeer peer(*server);
    peer.request("GET /");
    auto stream = *box.wait();
    stream->start_stream({.body = "a"});
    peer.read_until("a\r\n");
    peer.end_sending();
    const std::string ahead = peer.read_once();  // a zero that asks whether it is there
    EXPECT_EQ(ahead, "0");
    if (stopped) {
      server->stop(0);
    } else {
      stream.reset();
    }
    EXPECT_EQ(ahead + peer.read_all(), "01\r\n") << "no end of chunks: it isn't complete";
  }
}

TEST(HttpStream, AHalfClosedClientGetsTheAnswersToAllItSent) {
  std::mutex mutex;
  std::vector<std::thread> answering;
  const auto server = start_server([&](const HttpRequest& request, std::shared_ptr<Responder> responder) {
    const std::lock_guard lock(mutex);
    answering.emplace_back([responder = std::move(responder), path = request.path] {
      std::this_thread::sleep_for(milliseconds(30));
      responder->send({.body = path});
    });
  });
  TestPeer peer(*server);
  for (const char* path : {"GET /one", "GET /two", "GET /three"}) peer.request(path);
  peer.end_sending();
  const std::string answers = peer.read_all();
  EXPECT_EQ(peer.last_error(), "");
  for (const char* path : {"/one", "/two", "/three"}) {
    EXPECT_THAT(answers, HasSubstr(std::string("\r\n\r\n") + path)) << answers;
  }
  TestPeer cut(*server);
  cut.request("GET /whole");
  cut.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\nhalf");
  cut.end_sending();
  const std::string both = cut.read_all();
  EXPECT_THAT(both, HasSubstr("/whole"));
  EXPECT_THAT(both, HasSubstr("HTTP/1.1 400 Bad Request"));
  EXPECT_THAT(both, HasSubstr("content-length"));
  server->stop(1000);
  for (auto& thread : answering) thread.join();
}

TEST(HttpStream, AHalfClosedClientThatLeavesLaterIsNoticed) {
  ResponderBox box;
  const auto server = start_server(park_in(&box));
  for (const bool reads : {false, true}) {
    Box<bool> left;
    TestPeer peer(*server);
    peer.request("POST /", "x");
    const auto responder = *box.wait();
    responder->on_disconnect([&] { left.put(true); });
    peer.end_sending();
    EXPECT_FALSE(left.wait(milliseconds(100)));
    // Unread, the byte alone would make its side answer the close with a reset.
    if (reads) {
      EXPECT_EQ(peer.read_once(), "H");
    }
    peer.close();
    EXPECT_TRUE(left.wait(milliseconds(4000)));
  }
}

TEST(HttpStream, AnEndInTheMiddleOfARequestIsSaid) {
  const auto server = start_server([](const HttpRequest&, const std::shared_ptr<Responder>& responder) {
    responder->send({.body = "never"});
  });
  for (const char* bytes :
       {"GET", "GET / HTTP/1.1\r\nhost: t\r\n", "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\n\r\nabc",
        "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"}) {
    TestPeer peer(*server);
    peer.send(bytes);
    peer.end_sending();
    const std::string answer = peer.read_all();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 ")) << bytes;
    EXPECT_THAT(answer, HasSubstr("before the whole request had come")) << bytes;
  }
  TestPeer silent(*server);
  silent.end_sending();
  EXPECT_EQ(silent.read_all(), "");
}

TEST(HttpStream, AStreamDroppedBeforeItsEndIsSeenToBeBroken) {
  const auto server = start_server([](const HttpRequest&, const std::shared_ptr<Responder>& responder) {
    responder->start_stream({});
    responder->write("half");
  });
  const auto response = client_of(*server)->request("GET", "/", {}, "");
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, base::Code::kIo);
}

TEST(HttpStream, StopWaitsForARunningAnswerAsLongAsItMay) {
  ResponderBox box;
  const auto server = start_server(park_in(&box));
  TestPeer idle(*server);
  TestPeer peer(*server);
  peer.request("GET /");
  const auto stream = *box.wait();
  stream->start_stream({.body = "a"});
  peer.read_until("a\r\n");
  const auto start = Clock::now();
  std::thread stopper([&] { server->stop(5000); });
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_LT(ms_since(start), 2000) << "an idle connection is closed at once";
  EXPECT_FALSE(HttpClient::connect("http://127.0.0.1:" + std::to_string(server->port()), 1));
  stream->write("b");
  stream->finish_stream();
  EXPECT_EQ(peer.read_all(), "1\r\nb\r\n0\r\n\r\n");
  peer.close();
  stopper.join();
  EXPECT_LT(ms_since(start), 4500);
  server->stop(5000);
}

TEST(HttpStream, StopEndsAStreamThatGoesOn) {
  ResponderBox box;
  Box<bool> left;
  std::shared_ptr<Responder> stream;
  std::atomic<bool> writing{true};
  std::thread writer;
  {
    const auto server = start_server(park_in(&box), {.threads = 2});
    TestPeer peer(*server);
    peer.request("GET /");
    stream = *box.wait();
    stream->on_disconnect([&] { left.put(true); });
    stream->start_stream({});
    writer = std::thread([&] {
      while (writing) stream->write("x");
    });
    peer.read_until("x\r\n");
    const auto start = Clock::now();
    std::thread reader([&] { peer.read_all(); });
    server->stop(100);
    EXPECT_LT(ms_since(start), 3000);
    reader.join();
    EXPECT_TRUE(left.wait(milliseconds(0)));
  }
  // The server is gone; its Responder isn't.
  std::this_thread::sleep_for(milliseconds(10));
  writing = false;
  writer.join();
  stream->finish_stream();
}

TEST(HttpStream, ManyThreadsAnswerManyConnections) {
  std::mutex mutex;
  std::vector<std::thread> answering;
  const auto server = start_server(
      [&](const HttpRequest& request, std::shared_ptr<Responder> responder) {
        std::lock_guard lock(mutex);
        answering.emplace_back([responder = std::move(responder), path = request.path]() mutable {
          responder->on_disconnect([] {});
          responder->start_stream({.body = path});
          for (int i = 0; i < 20; ++i) responder->write("x");
          if (path.back() != '7') responder->finish_stream();
          responder.reset();
        });
      },
      {.threads = 2});
  std::vector<std::thread> clients;
  std::atomic<int> whole{0};
  std::atomic<int> broken{0};
  for (int c = 0; c < 4; ++c) {
    clients.emplace_back([&] {
      const auto client = client_of(*server);
      for (int i = 0; i < 50; ++i) {
        const std::string path = fmt::format("/{}", i);
        const auto response = client->request("GET", path, {}, "");
        if (response && response->body == path + std::string(20, 'x')) ++whole;
        if (!response) ++broken;
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(whole, 4 * 45);
  EXPECT_EQ(broken, 4 * 5);
  server->stop(1000);
  for (auto& thread : answering) thread.join();
}

}  // namespace
}  // namespace pmt::net
