#include "net/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::net {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(DecodeTarget, SplitsAndDecodesPathAndQuery) {
  HttpRequest request;
  ASSERT_TRUE(decode_target("/v1/a%20b%2Fc+d?x=1&y=a+b%26&flag&=v&x=2", &request));
  EXPECT_EQ(request.path, "/v1/a b/c+d");
  EXPECT_THAT(request.query, ElementsAre(Pair("x", "1"), Pair("y", "a b&"), Pair("flag", ""), Pair("", "v"),
                                         Pair("x", "2")));
  EXPECT_EQ(request.query_value("x"), "1");
  EXPECT_EQ(request.query_value("missing"), "");
}

TEST(DecodeTarget, TakesEveryFormOfTarget) {
  const auto path_of = [](std::string_view target) {
    HttpRequest request;
    EXPECT_TRUE(decode_target(target, &request)) << target;
    return request.path;
  };
  EXPECT_EQ(path_of("http://example.test:81/v1/models?x"), "/v1/models");
  EXPECT_EQ(path_of("http://example.test"), "/");
  EXPECT_EQ(path_of("http://example.test?x=1"), "/");
  EXPECT_EQ(path_of("*"), "*");
  EXPECT_EQ(path_of("/page#part"), "/page");
  EXPECT_EQ(path_of("/to?url=http://other/"), "/to");
  EXPECT_EQ(path_of("?x=1"), "/");
}

TEST(DecodeTarget, TheAbsoluteFormNamesAHost) {
  EXPECT_EQ(target_authority("http://example.test:81/v1/models?x"), "example.test:81");
  EXPECT_EQ(target_authority("HTTP://user@example.test"), "user@example.test");
  EXPECT_EQ(target_authority("http://a?b://c/"), "a");
  EXPECT_EQ(target_authority("http://a#b"), "a");
  EXPECT_EQ(target_authority("http://"), "");
  EXPECT_EQ(target_authority("/to?url=http://other/"), std::nullopt);
  EXPECT_EQ(target_authority("*"), std::nullopt);
  EXPECT_EQ(target_authority(""), std::nullopt);
}

TEST(DecodeTarget, RefusesABrokenEscape) {
  for (const char* target : {"", "/%", "/%4", "/%zz", "/ok?a=%", "/ok?%4=b", "/%4%31"}) {
    HttpRequest request;
    EXPECT_FALSE(decode_target(target, &request)) << target;
  }
}

TEST(HttpRequest, FindsTheFirstHeaderOfAName) {
  HttpRequest request;
  request.headers = {{"accept", "a"}, {"x-id", "1"}, {"x-id", "2"}};
  EXPECT_EQ(request.header("x-id"), "1");
  EXPECT_EQ(request.header("x-other"), "");
}

}  // namespace
}  // namespace pmt::net
