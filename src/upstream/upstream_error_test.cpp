#include "upstream/upstream_error.h"

#include <gmock/gmock.h>

namespace pmt::upstream {
namespace {

using base::Code;
using ::testing::HasSubstr;

TEST(UpstreamError, EachStatusHasItsMeaning) {
  const std::pair<int, Code> expected[] = {
      {400, Code::kInvalidArgument}, {401, Code::kUnauthorized}, {403, Code::kUnauthorized},
      {404, Code::kNotFound},        {408, Code::kDeadline},     {413, Code::kTooLarge},
      {422, Code::kInvalidArgument}, {429, Code::kExhausted},    {500, Code::kUnavailable},
      {503, Code::kUnavailable},     {529, Code::kUnavailable}};
  for (const auto& [status, code] : expected) EXPECT_EQ(status_error(status, {}, "", 0).code, code) << status;
}

TEST(UpstreamError, TheMessageIsTheServersOwn) {
  EXPECT_THAT(status_error(400, {}, R"({"error":{"message":"no such field","param":"tools"}})", 0).message,
              HasSubstr("400: no such field"));
  EXPECT_EQ(status_error(400, {}, R"({"error":{"message":"x","param":"tools"}})", 0).field, "tools");
  EXPECT_THAT(status_error(500, {}, R"({"detail":"boom"})", 0).message, HasSubstr("boom"));
  EXPECT_THAT(status_error(502, {}, "<html>\nBad", 0).message, HasSubstr("<html> Bad"));
  EXPECT_LT(status_error(502, {}, std::string(100'000, 'x'), 0).message.size(), 500U);
}

TEST(UpstreamError, TypeAndCodeAreTheServersOwn) {
  const auto told = [](int status, const char* body) {
    const auto error = status_error(status, {}, body, 0);
    return error.foreign
               ? std::to_string(error.foreign->status) + ' ' + error.foreign->type + ' ' + error.foreign->code
               : std::string("none");
  };
  EXPECT_EQ(told(400, R"({"error":{"message":"x","type":"invalid_request_error","code":"content_filter"}})"),
            "400 invalid_request_error content_filter");
  EXPECT_EQ(told(429, R"([{"error":{"code":429,"message":"x","type":"RESOURCE_EXHAUSTED"}}])"),
            "429 RESOURCE_EXHAUSTED ");
  EXPECT_EQ(told(400, R"({"object":"error","message":"x","type":"BadRequestError","code":40001})"),
            "400 BadRequestError 40001");
  EXPECT_EQ(told(402, R"({"error":{"message":"x","type":null,"code":{}}})"), "402  ");
  EXPECT_EQ(told(500, R"({"error":{"message":"x","type":null,"code":{}}})"), "none");
  for (const char* other : {"oops", R"({"error":"x"})", R"({"detail":"x"})", "[]"})
    EXPECT_EQ(told(500, other), "none") << other;
  EXPECT_EQ(told(401, R"({"error":{"message":"x","type":"t","code":"c"}})"), "none") << "our own key";
  EXPECT_THAT(status_error(429, {}, R"([{"error":{"message":"slow down"}}])", 0).message,
              HasSubstr("slow down"));
}

TEST(UpstreamError, RetryAfterIsSecondsOrADate) {
  EXPECT_DOUBLE_EQ(retry_after("7", 0), 7);
  EXPECT_DOUBLE_EQ(retry_after("1.5", 0), 1.5);
  EXPECT_DOUBLE_EQ(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111777 - 30), 30);
  EXPECT_DOUBLE_EQ(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111777 + 30), 0);
  for (const char* bad : {"", "soon", "-3", "nan", "inf", "1e999"}) {
    const double wait = retry_after(bad, 0);
    EXPECT_GE(wait, 0) << bad;
    EXPECT_LE(wait, 1e6) << bad;
  }
  EXPECT_DOUBLE_EQ(status_error(429, {{"retry-after", "3"}}, "", 0).retry_after_s, 3);
}

TEST(UpstreamError, OnlyWhatMayGoBetterIsTriedAgain) {
  for (const Code code : {Code::kExhausted, Code::kUnavailable, Code::kDeadline, Code::kBadGateway})
    EXPECT_TRUE(is_retryable(code));
  for (const Code code : {Code::kInvalidArgument, Code::kUnauthorized, Code::kNotFound, Code::kCancelled})
    EXPECT_FALSE(is_retryable(code));
}

}  // namespace
}  // namespace pmt::upstream
