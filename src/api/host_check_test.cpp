#include "api/host_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::api {
namespace {

using ::testing::HasSubstr;

HostCheckOptions allowing(std::vector<std::string> patterns, bool loopback_only = true) {
  HostCheckOptions options{.loopback_only = loopback_only};
  for (const std::string& text : patterns) options.allowed.push_back(net::HostPattern::parse(text).value());
  return options;
}

bool takes_host(const HostCheckOptions& options, const std::string& host) {
  net::HttpRequest request;
  request.headers = {{"host", host}};
  const auto checked = HostCheck(options).check_host(request);
  EXPECT_TRUE(checked || checked.error().code == base::Code::kForbidden);
  return checked.has_value();
}

bool takes_page(const HostCheckOptions& options, const std::string& origin, const std::string& host) {
  net::HttpRequest request;
  request.headers = {{"origin", origin}, {"host", host}};
  return HostCheck(options).check_origin(request).has_value();
}

TEST(HostCheck, OnThisMachineOnlyThisMachinesHosts) {
  for (const char* host :
       {"127.0.0.1", "LocalHost:8080", "localhost.", "[::ffff:127.0.0.1]:9", "[0::1]", "127.9.9.9"})
    EXPECT_TRUE(takes_host({}, host)) << host;
  for (const char* host : {"127.attacker.example", "localhost.attacker.example", "10.0.0.1", "0.0.0.0", "",
                           "2130706433", "user@localhost", "localhost:99999", "chat.example.org"})
    EXPECT_FALSE(takes_host({}, host)) << host;
}

TEST(HostCheck, AnErrorNamesTheHostAndTheWayOut) {
  net::HttpRequest request;
  request.headers = {{"host", "127.attacker.example:1"}};
  const auto foreign = HostCheck({}).check_host(request);
  EXPECT_THAT(foreign.error().message, HasSubstr("'127.attacker.example'"));
  EXPECT_THAT(foreign.error().message, HasSubstr("allowed_hosts"));
  request.headers = {{"host", "0x7f.1"}};
  EXPECT_THAT(HostCheck({}).check_host(request).error().message, HasSubstr("four decimal numbers"));
}

TEST(HostCheck, AllowedHostsLetANameIn) {
  const auto options = allowing({"chat.example.org", "*.lan"});
  EXPECT_TRUE(takes_host(options, "Chat.Example.org:443"));
  EXPECT_TRUE(takes_host(options, "pi.lan"));
  EXPECT_TRUE(takes_host(options, "localhost")) << "this machine stays allowed";
  EXPECT_FALSE(takes_host(options, "chat.example.org.attacker.example"));
  EXPECT_FALSE(takes_host(options, "lan"));
  EXPECT_TRUE(takes_page(options, "https://chat.example.org", "127.0.0.1:8080")) << "a proxy rewrote Host";
  EXPECT_FALSE(takes_page(options, "https://attacker.example", "chat.example.org"));
}

TEST(HostCheck, BeyondThisMachineNamesCountOnceSomeAreAllowed) {
  EXPECT_TRUE(takes_host({.loopback_only = false}, "any.example"));
  EXPECT_TRUE(takes_host({.loopback_only = false}, ""));
  EXPECT_FALSE(takes_host({.loopback_only = false}, "127.1")) << "malformed";
  const auto options = allowing({"chat.example.org"}, false);
  EXPECT_TRUE(takes_host(options, "chat.example.org"));
  EXPECT_TRUE(takes_host(options, "192.168.1.5:8080")) << "nobody can rebind an address";
  EXPECT_FALSE(takes_host(options, "attacker.example"));
  EXPECT_FALSE(takes_host(options, ""));
}

TEST(HostCheck, APageMustComeFromWhereTheRequestGoes) {
  EXPECT_TRUE(takes_page({}, "", "x")) << "a program";
  EXPECT_TRUE(takes_page({}, "http://127.0.0.1:8080", "127.0.0.1:8080"));
  EXPECT_TRUE(takes_page({}, "http://LOCALHOST:8080", "localhost.:8080"));
  EXPECT_TRUE(takes_page({}, "http://[::1]:8080", "127.0.0.1:8080")) << "both are this machine";
  EXPECT_TRUE(takes_page({}, "http://pi:8080", "PI:8080"));
  EXPECT_TRUE(takes_page({}, "https://pi", "pi")) << "TLS ends before us";
  EXPECT_TRUE(takes_page({}, "http://pi", "pi:80"));
  for (const char* origin :
       {"null", "file://", "http://attacker.example", "http://127.attacker.example:8080", "http://localhost",
        "http://localhost:3000", "https://localhost", "http://localhost:8080/", "http://user@localhost:8080",
        "chrome-extension://abcdefghijklmnop", "tauri://localhost", "ws://localhost:8080", "localhost:8080",
        "http://0x7f.1:8080", "http://localhost:8080 http://attacker.example", "http://localhost:80800"})
    EXPECT_FALSE(takes_page({}, origin, "localhost:8080")) << origin;
  EXPECT_FALSE(takes_page({}, "http://127.attacker.example:1", "127.attacker.example:2"));
}

TEST(HostCheck, EveryOriginLineCounts) {
  net::HttpRequest request;
  request.headers = {
      {"host", "localhost:1"}, {"origin", "http://localhost:1"}, {"origin", "http://attacker.example"}};
  EXPECT_FALSE(HostCheck({}).check_origin(request));
}

}  // namespace
}  // namespace pmt::api
