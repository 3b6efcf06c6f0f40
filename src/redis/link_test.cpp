#include "redis/link.h"

#include <gtest/gtest.h>

#include "redis/test_redis.h"

namespace pmt::redis {
namespace {

using Kind = Reply::Kind;

Command command(std::vector<std::string> words, std::string key = {}) {
  return {.words = std::move(words), .key = std::move(key)};
}

class LinkTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!TestRedis::is_here()) GTEST_SKIP() << "no redis-server: apt-get install redis-server";
    signal(SIGPIPE, SIG_IGN);
  }
};

TEST_F(LinkTest, CallsInOrder) {
  TestRedis redis;
  ASSERT_TRUE(redis.runs());
  Link link({.seed = redis.endpoint(), .login = {}});
  const std::string bytes("\0\r\n\xff", 4);
  const auto replies =
      link.call({command({"SET", "a", bytes}), command({"GET", "a"}), command({"GET", "none"}),
                 command({"INCR", "n"}), command({"NONSENSE"}), command({"KEYS", "*"})},
                in_ms(1000));
  ASSERT_TRUE(replies) << replies.error().message;
  ASSERT_EQ(replies->size(), 6U);
  EXPECT_EQ((*replies)[0].text, "OK");
  EXPECT_EQ((*replies)[1].text, bytes);
  EXPECT_TRUE((*replies)[2].is(Kind::kNil));
  EXPECT_EQ((*replies)[3].integer, 1);
  EXPECT_TRUE((*replies)[4].is(Kind::kError));
  EXPECT_EQ((*replies)[5].items.size(), 2U);
}

TEST_F(LinkTest, LargeValuesGoBothWays) {
  TestRedis redis;
  Link link({.seed = redis.endpoint(), .login = {}});
  const std::string large(20 << 20, 'x');
  ASSERT_TRUE(link.call(command({"SET", "a", large}), in_ms(5000)));
  const auto back = link.call(command({"GET", "a"}), in_ms(5000));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->text, large);
}

TEST_F(LinkTest, AHungServerCostsTheDeadline) {
  TestRedis redis;
  Link link({.seed = redis.endpoint(), .login = {}});
  ASSERT_TRUE(link.call(command({"PING"}), in_ms(1000)));
  redis.send(SIGSTOP);
  for (int i = 0; i < 2; ++i) {  // on the open connection, and on a new one, which the kernel accepts
    const auto begin = std::chrono::steady_clock::now();
    const auto reply = link.call(command({"PING"}), in_ms(80));
    const auto took = std::chrono::steady_clock::now() - begin;
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, base::Code::kDeadline);
    EXPECT_LT(took, std::chrono::milliseconds(200));
  }
  redis.send(SIGCONT);
  EXPECT_TRUE(link.call(command({"PING"}), in_ms(1000)));
}

TEST_F(LinkTest, ADeadServerIsUnavailableAndItsSuccessorIsFound) {
  TestRedis redis;
  Link link({.seed = redis.endpoint(), .login = {}});
  ASSERT_TRUE(link.call(command({"PING"}), in_ms(1000)));
  redis.send(SIGKILL);
  for (int i = 0; i < 2; ++i) {
    const auto reply = link.call(command({"PING"}), in_ms(1000));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, base::Code::kUnavailable);
  }
  redis.start();
  EXPECT_TRUE(link.call(command({"PING"}), in_ms(1000)));
}

TEST_F(LinkTest, ThePasswordIsAskedFor) {
  TestRedis redis({"--requirepass", "secret"});
  Link without({.seed = redis.endpoint(), .login = {}});
  const auto refused = without.call(command({"GET", "a"}), in_ms(1000));
  ASSERT_TRUE(refused);
  EXPECT_NE(refused->text.find("NOAUTH"), std::string::npos);
  Link wrong({.seed = redis.endpoint(), .login = {.password = "other"}});
  EXPECT_EQ(wrong.call(command({"GET", "a"}), in_ms(1000)).error().code, base::Code::kUnauthorized);
  Link right({.seed = redis.endpoint(), .login = {.password = "secret", .database = 2}});
  EXPECT_TRUE(right.call(command({"GET", "a"}), in_ms(1000))->is(Kind::kNil));
}

/// Something that listens and answers with bytes that are no Redis.
TEST_F(LinkTest, ForeignBytesAreAnError) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(listener, generic, size), 0);
  ASSERT_EQ(getsockname(listener, generic, &size), 0);
  ASSERT_EQ(listen(listener, 4), 0);
  std::thread peer([&] {
    const int one = accept(listener, nullptr, nullptr);
    const char nonsense[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    (void)!write(one, nonsense, sizeof nonsense - 1);
    close(one);
  });
  Link link({.seed = {.host = "127.0.0.1", .port = ntohs(address.sin_port)}, .login = {}});
  const auto reply = link.call(command({"PING"}), in_ms(1000));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, base::Code::kCorrupt);
  peer.join();
  close(listener);
}

}  // namespace
}  // namespace pmt::redis
