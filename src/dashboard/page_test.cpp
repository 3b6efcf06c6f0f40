#include "dashboard/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::dashboard {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string header(const net::HttpResponse& response, const std::string& name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(Page, IsOneDocumentThatNeedsNothingElse) {
  const net::HttpResponse response = page();
  EXPECT_THAT(response.body, HasSubstr("<!doctype html>"));
  EXPECT_THAT(response.body, Not(HasSubstr("/*script*/")));
  EXPECT_THAT(response.body, Not(HasSubstr("/*style*/")));
  for (const char* foreign : {"http://", "https://", " src=", "@import", "url(", " style=\"", " onclick"})
    EXPECT_THAT(response.body, Not(HasSubstr(foreign))) << foreign;
}

TEST(Page, AllowsItsOwnScriptByHashAndNothingElse) {
  const std::string policy = header(page(), "content-security-policy");
  EXPECT_THAT(policy, HasSubstr("default-src 'none'"));
  EXPECT_THAT(policy, ::testing::ContainsRegex("script-src 'sha256-[A-Za-z0-9+/]*='"));
  EXPECT_THAT(policy, HasSubstr("frame-ancestors 'none'"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
}

}  // namespace
}  // namespace pmt::dashboard
