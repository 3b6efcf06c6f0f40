#include "net/host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::net {
namespace {

using ::testing::HasSubstr;

TEST(Host, EverySpellingOfThisMachineIsThisMachine) {
  for (const char* text : {"localhost",
                           "LocalHost",
                           "LOCALHOST:8080",
                           "localhost.",
                           "localhost.:80",
                           "127.0.0.1",
                           "127.0.0.1:1",
                           "127.1.2.3",
                           "127.255.255.254:65535",
                           "127.0.0.1.",
                           "[::1]",
                           "[::1]:8080",
                           "[0:0:0:0:0:0:0:1]",
                           "[0000:0000:0000:0000:0000:0000:0000:0001]:80",
                           "[::0001]",
                           "[0::1]",
                           "[::ffff:127.0.0.1]",
                           "[::FFFF:7f00:1]",
                           "[0:0:0:0:0:ffff:127.9.9.9]:5",
                           "[::1%lo]",
                           "[::1%25lo]:80",
                           "localhost:"}) {
    const auto authority = parse_authority(text);
    ASSERT_TRUE(authority) << authority.error().message;
    EXPECT_TRUE(authority->host.is_this_machine()) << text;
  }
}

TEST(Host, ANameThatLooksLikeThisMachineIsAnother) {
  for (const char* text : {"127.attacker.example", "127.0.0.1.attacker.example", "127.0.0.1.nip.io:80",
                           "localhost.attacker.example", "notlocalhost", "localhost-x", "localhos",
                           "xn--lcalhost-64a", "attacker.example", "128.0.0.1", "0.0.0.0", "[::]", "[::2]",
                           "[::127.0.0.1]", "[::ffff:128.0.0.1]", "[fe80::1%lo]", "a.localhost"}) {
    const auto authority = parse_authority(text);
    ASSERT_TRUE(authority) << text << ": " << authority.error().message;
    EXPECT_FALSE(authority->host.is_this_machine()) << text;
  }
}

TEST(Host, WhatOnlyAResolverReadsAsAnAddressIsMalformed) {
  for (const char* text :
       {"2130706433", "0x7f.1", "0x7f000001", "0X7F.0.0.1", "0177.0.0.1", "127.1", "127.0.1", "017700000001",
        "127.0.0.01", "127.0.0.256", "127.0.0.1.5", "1.2.3.0x", "a.127"}) {
    const auto authority = parse_authority(text);
    ASSERT_FALSE(authority) << text;
    EXPECT_THAT(authority.error().message, HasSubstr("four decimal numbers")) << text;
  }
}

TEST(Host, MalformedAuthorities) {
  for (const std::string text : {"",
                                 ":80",
                                 ".",
                                 "..",
                                 ".localhost",
                                 "localhost..",
                                 "a..b",
                                 "user@localhost",
                                 "user:secret@127.0.0.1",
                                 "127.0.0.1@attacker.example",
                                 "localhost/path",
                                 "localhost?x",
                                 "localhost#x",
                                 "local host",
                                 " localhost",
                                 "localhost ",
                                 "localhost\t",
                                 "localhost:65536",
                                 "localhost:99999999999",
                                 "localhost:-1",
                                 "localhost:+1",
                                 "localhost:80x",
                                 "localhost:80:80",
                                 "localhost:0x50",
                                 "::1",
                                 "[::1",
                                 "::1]",
                                 "[]",
                                 "[::1]80",
                                 "[::1]x:80",
                                 "[localhost]",
                                 "[127.0.0.1]",
                                 "[::1%]",
                                 "[::1%25]:8 ",
                                 "[::1%a/b]",
                                 "[:::1]",
                                 "[::1::]",
                                 "[1:2:3:4:5:6:7]",
                                 "local%68ost",
                                 "%6cocalhost",
                                 "\xe2\x93\x9b\x6f\x63\x61lhost",
                                 "m\xc3\xbcnchen.example",
                                 "\xff",
                                 "localhost, attacker.example",
                                 "https://localhost",
                                 "*.lan"}) {
    EXPECT_FALSE(parse_authority(text)) << text;
  }
  EXPECT_FALSE(parse_authority(std::string("localhost\0.attacker.example", 27)));
  EXPECT_FALSE(parse_authority(std::string("[::1\0]", 6)));
  EXPECT_FALSE(parse_authority(std::string(64, 'a')));
  EXPECT_FALSE(parse_authority(std::string(5000, '[')));
  std::string deep;
  for (int i = 0; i < 128; ++i) deep += "a.";
  EXPECT_FALSE(parse_authority(deep));
}

TEST(Host, HostsAreComparedAsWhatTheyAre) {
  const auto host = [](std::string_view text) { return parse_host(text).value(); };
  EXPECT_EQ(host("Chat.Example.ORG."), host("chat.example.org"));
  EXPECT_EQ(host("[2001:DB8:0:0::1]"), host("2001:db8::1"));
  EXPECT_EQ(host("[::ffff:192.168.0.1]"), host("192.168.0.1"));
  EXPECT_NE(host("chat.example.org"), host("chat.example.com"));
  EXPECT_NE(host("xn--mnchen-3ya.example"), host("munchen.example"));
  EXPECT_FALSE(host("x-1_2.example").is_address);
  EXPECT_EQ(parse_authority("h:8080")->port, 8080);
  EXPECT_EQ(parse_authority("h")->port, std::nullopt);
  EXPECT_EQ(parse_authority("h:")->port, std::nullopt);
}

TEST(Host, AnOriginIsASchemeAHostAndAPort) {
  EXPECT_EQ(parse_origin("http://h")->port, 80);
  EXPECT_EQ(parse_origin("HTTPS://h")->port, 443);
  EXPECT_EQ(parse_origin("http://[::1]:8080")->host.text, "::1");
  for (const char* text : {"null",
                           "",
                           "h",
                           "//h",
                           "://h",
                           "file://",
                           "chrome-extension://abcdef",
                           "http:/h",
                           "http://",
                           "http://h/",
                           "http://h/path",
                           "http://h?x",
                           "http://user@h",
                           "http://a http://b",
                           "data://localhost",
                           "ws://localhost",
                           "tauri://localhost",
                           "app://localhost:8080",
                           "xhttp://localhost",
                           "http://127.1"}) {
    EXPECT_FALSE(parse_origin(text)) << text;
  }
}

TEST(Host, APatternIsOneHostOrAllNamesBelowOne) {
  const auto matches = [](std::string_view pattern, std::string_view host) {
    return HostPattern::parse(pattern).value().matches(parse_host(host).value());
  };
  EXPECT_TRUE(matches("chat.example.org", "CHAT.example.org."));
  EXPECT_FALSE(matches("chat.example.org", "evil.chat.example.org"));
  EXPECT_TRUE(matches("*.lan", "pi.lan"));
  EXPECT_TRUE(matches("*.Lan.", "a.b.lan"));
  EXPECT_FALSE(matches("*.lan", "lan"));
  EXPECT_FALSE(matches("*.lan", "evillan"));
  EXPECT_FALSE(matches("*.lan", "lan.attacker.example"));
  EXPECT_TRUE(matches("::1", "[0::1]"));
  EXPECT_TRUE(matches("10.0.0.7", "10.0.0.7"));
  for (const char* text :
       {"", "*", "*.", "*.*", "a.*", "*.10.0.0.1", "*lan", "h:80", "http://h", "h/", "*.[::1]"}) {
    EXPECT_FALSE(HostPattern::parse(text)) << text;
  }
}

}  // namespace
}  // namespace pmt::net
