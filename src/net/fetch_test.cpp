// Between real servers on loopback; what a hub's redirects, ranges and stalls do to a pull is in tests/e2e/test_pull.py.
#include "net/fetch.h"

#include <mutex>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "net/test_peer.h"

namespace pmt::net {
namespace {

using ::testing::HasSubstr;

std::string header_of(const HttpRequest& request, std::string_view name) {
  return std::string(request.header(name));
}

class Fetching : public ::testing::Test {
 protected:
  /// Answers with what the request's Authorization was; /to?u=URL redirects there.
  std::unique_ptr<HttpServer> start() {
    return start_server([](const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
      if (request.path == "/to") {
        const std::string to(request.query_value("u"));
        return responder->send({.status = 302, .headers = {{"location", to}, {"x-on-the-way", "seen"}}});
      }
      if (request.path == "/away") return responder->send({.status = 404, .body = std::string(100'000, 'x')});
      responder->send({.body = fmt::format("{} {}", request.path, header_of(request, "authorization"))});
    });
  }
  static std::string at(const HttpServer& server, const std::string& target) {
    return fmt::format("http://127.0.0.1:{}{}", server.port(), target);
  }
  base::Result<FetchAnswer> get(const std::string& url) {
    body_.clear();
    return fetch(*client_, {.url = url, .bearer = "secret"},
                 {.on_body = [this](std::string_view bytes) -> base::Status {
                   body_.append(bytes);
                   return {};
                 }});
  }

  std::unique_ptr<AsyncClient> client_ = std::move(*AsyncClient::create({}));
  std::string body_;
};

TEST_F(Fetching, ATokenGoesToItsOwnServerAlone) {
  const auto home = start();
  const auto other = start();
  ASSERT_TRUE(get(at(*home, "/x")));
  EXPECT_EQ(body_, "/x Bearer secret");
  ASSERT_TRUE(get(at(*home, "/to?u=/y")));
  EXPECT_EQ(body_, "/y Bearer secret") << "the same server";
  const auto answer = get(at(*home, "/to?u=" + at(*other, "/z")));
  ASSERT_TRUE(answer);
  EXPECT_EQ(body_, "/z ");
  EXPECT_EQ(answer->header("x-on-the-way"), "seen");
}

TEST_F(Fetching, ARefusalIsAnAnswerWithItsBeginning) {
  const auto home = start();
  const auto answer = get(at(*home, "/away"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 404);
  EXPECT_EQ(body_, "");
  EXPECT_EQ(answer->body.size(), 65536U);
}

TEST_F(Fetching, RedirectsInACircleOrToNowhereEnd) {
  std::unique_ptr<HttpServer> circle =
      start_server([](const HttpRequest&, const std::shared_ptr<Responder>& responder) {
        responder->send({.status = 302, .headers = {{"location", "/again"}}});
      });
  const auto round = get(at(*circle, "/"));
  ASSERT_FALSE(round);
  EXPECT_THAT(round.error().message, HasSubstr("redirects more than 10 times"));
  const auto home = start();
  const auto empty = get(at(*home, "/to"));
  ASSERT_FALSE(empty);
  EXPECT_THAT(empty.error().message, HasSubstr("redirects to nowhere"));
}

TEST_F(Fetching, AHooksErrorEndsIt) {
  const auto home = start();
  const auto refuse = [](const FetchAnswer&) -> base::Status { return base::invalid("not this one"); };
  const auto answer = fetch(*client_, {.url = at(*home, "/x")}, {.on_head = refuse});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message, "not this one");
}

TEST_F(Fetching, SilenceHasALimit) {
  std::vector<std::shared_ptr<Responder>> kept;
  std::mutex mutex;
  const auto silent = start_server([&](const HttpRequest&, std::shared_ptr<Responder> responder) {
    const std::lock_guard lock(mutex);
    kept.push_back(std::move(responder));
  });
  const auto answer = fetch(*client_, {.url = at(*silent, "/"), .stall_timeout_s = 0.2});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, base::Code::kDeadline);
  silent->stop(0);
}

}  // namespace
}  // namespace pmt::net
