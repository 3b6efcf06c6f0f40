#include "redis/url.h"

#include <gtest/gtest.h>

namespace pmt::redis {
namespace {

Address parsed(const std::string& url) {
  const auto address = parse_url(url);
  EXPECT_TRUE(address) << url << ": " << address.error().message;
  return address.value_or(Address{});
}

TEST(RedisUrl, TakesWhatUsersWrite) {
  EXPECT_EQ(parsed("redis://cache.example:7000").endpoint.text(), "cache.example:7000");
  EXPECT_EQ(parsed("valkey://cache.example").endpoint.text(), "cache.example:6379");
  const Address all = parsed("redis://me:p@ss:word@[::1]:7001/3");
  EXPECT_EQ(all.endpoint.host, "::1");
  EXPECT_EQ(all.endpoint.port, 7001);
  EXPECT_EQ(all.login.user, "me");
  EXPECT_EQ(all.login.password, "p@ss:word");
  EXPECT_EQ(all.login.database, 3);
  EXPECT_FALSE(all.tls);
  EXPECT_EQ(parsed("redis://a/").login.database, 0);
  EXPECT_EQ(parsed("redis://a?db=4").login.database, 4);
}

TEST(RedisUrl, DecodesWhatIsPercentEncoded) {
  const Address address = parsed("redis://us%40er:p%40ss%2521%20w%23rd%2F%3A%3f@h");
  EXPECT_EQ(address.login.user, "us@er");
  EXPECT_EQ(address.login.password, "p@ss%21 w#rd/:?");
  EXPECT_EQ(parsed("redis://:a+b@h").login.password, "a+b") << "no form's query: a plus is a plus";
  EXPECT_EQ(parsed("redis://:%C3%A9%00@h").login.password, std::string("\xc3\xa9\0", 3));
}

TEST(RedisUrl, TlsAndSockets) {
  EXPECT_TRUE(parsed("rediss://:x@h:6380/1").tls);
  EXPECT_EQ(parsed("rediss://:x@h:6380/1").login.database, 1);
  EXPECT_TRUE(parsed("valkeys://h").tls);
  const Address socket = parsed("unix://me:p%40ss@/run/my%20redis/redis.sock?db=2");
  EXPECT_EQ(socket.endpoint.socket, "/run/my redis/redis.sock");
  EXPECT_EQ(socket.endpoint.text(), "/run/my redis/redis.sock");
  EXPECT_EQ(socket.login.user, "me");
  EXPECT_EQ(socket.login.password, "p@ss");
  EXPECT_EQ(socket.login.database, 2);
  EXPECT_EQ(parsed("redis+unix:///s").endpoint.socket, "/s");
}

TEST(RedisUrl, SaysWhatIsWrongAndQuotesNoPassword) {
  for (const char* wrong :
       {"", "http://a", "redis:/a", "redis://", "redis://a:0", "redis://a:70000", "redis://a:x",
        "redis://a/x", "redis://user@", "rediss://", "redis://:se%2cret%zz@a", "redis://:secret%@a",
        "redis://:secret@a?ssl=true", "redis://a/1?db=x", "unix://secret", "unix://", "redis://a/-1"}) {
    const auto address = parse_url(wrong);
    ASSERT_FALSE(address) << wrong;
    EXPECT_NE(address.error().message.find("redis://"), std::string::npos) << address.error().message;
    EXPECT_EQ(address.error().message.find("secret"), std::string::npos) << address.error().message;
  }
}

}  // namespace
}  // namespace pmt::redis
