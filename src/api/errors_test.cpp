#include "api/errors.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace pmt::api {
namespace {

using base::Code;
using nlohmann::json;

TEST(Errors, EachCodeHasItsStatus) {
  const auto status = [](Code code, const char* field = "") { return kind_of({code, "x", field}).status; };
  EXPECT_EQ(status(Code::kInvalidArgument), 400);
  EXPECT_EQ(status(Code::kUnauthorized), 401);
  EXPECT_EQ(status(Code::kForbidden), 403);
  EXPECT_EQ(status(Code::kNotFound), 404);
  EXPECT_EQ(status(Code::kTooLarge), 413);
  EXPECT_EQ(status(Code::kTooLarge, "messages"), 400);
  EXPECT_EQ(status(Code::kTooLarge, "prompt"), 400);
  EXPECT_EQ(status(Code::kUnprocessable), 422);
  EXPECT_EQ(status(Code::kUnprocessable, kOnlyIfCachedField), 504);
  EXPECT_EQ(status(Code::kExhausted), 429);
  EXPECT_EQ(status(Code::kOverBudget), 429);
  EXPECT_EQ(status(Code::kUnavailable), 503);
  EXPECT_EQ(status(Code::kCancelled), 499);
  EXPECT_EQ(status(Code::kDeadline), 504);
  EXPECT_EQ(status(Code::kCorrupt), 500);
  EXPECT_EQ(status(Code::kIo), 500);
  EXPECT_EQ(status(Code::kInternal), 500);
}

TEST(Errors, BodyHasOpenAisShape) {
  EXPECT_EQ(json::parse(error_body({Code::kTooLarge, "9 tokens too many", "messages"})),
            json::parse(R"({"error": {"message": "9 tokens too many", "type": "invalid_request_error",
                                      "param": "messages", "code": "context_length_exceeded"}})"));
  const json plain = json::parse(error_body({Code::kInvalidArgument, "quote \" and \xFF"}));
  EXPECT_EQ(plain.at("error").at("param"), nullptr);
  EXPECT_EQ(plain.at("error").at("code"), nullptr);
  EXPECT_EQ(plain.at("error").at("message"), "quote \" and \xEF\xBF\xBD");
}

TEST(Errors, AnUpstreamsWordsArePassedOn) {
  base::Error error{Code::kExhausted, "upstream p: no"};
  error.foreign = std::make_shared<base::ForeignRefusal>(
      base::ForeignRefusal{.status = 402, .type = "billing", .code = "insufficient_quota"});
  EXPECT_EQ(error_response(error).status, 402);
  EXPECT_EQ(json::parse(error_body(error)).at("error"),
            json::parse(
                R"({"message":"upstream p: no","type":"billing","param":null,"code":"insufficient_quota"})"));
  error.foreign = std::make_shared<base::ForeignRefusal>(
      base::ForeignRefusal{.status = 429, .type = "tokens", .code = ""});
  EXPECT_EQ(json::parse(error_body(error)).at("error").at("code"), nullptr) << "it gave none";
  error.foreign =
      std::make_shared<base::ForeignRefusal>(base::ForeignRefusal{.status = 429, .type = "", .code = ""});
  EXPECT_EQ(json::parse(error_body(error)).at("error").at("code"), "rate_limit_exceeded")
      << "it said nothing";
}

TEST(Errors, BusySaysWhenToComeBack) {
  const auto retry_after = [](Code code) {
    for (const auto& [name, value] : error_response({code, "x"}).headers) {
      if (name == "retry-after") return value;
    }
    return std::string("none");
  };
  EXPECT_EQ(retry_after(Code::kUnavailable), "1");
  EXPECT_EQ(retry_after(Code::kExhausted), "1");
  EXPECT_EQ(retry_after(Code::kInternal), "none");
}

}  // namespace
}  // namespace pmt::api
