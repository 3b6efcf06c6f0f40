#include "net/link.h"

#include <gtest/gtest.h>

namespace pmt::net {
namespace {

std::string followed(const std::string& from, const std::string& location) {
  const auto link = parse_link(from);
  if (!link) return link.error().message;
  const auto to = follow(*link, location);
  return to ? to->text() : to.error().message;
}

TEST(Link, KeepsPathAndQueryAndLeavesOutTheFragment) {
  const auto link = parse_link("https://hub.example:8443/a/b.gguf?download=true#top");
  ASSERT_TRUE(link) << link.error().message;
  EXPECT_TRUE(link->server.tls);
  EXPECT_EQ(link->server.host, "hub.example");
  EXPECT_EQ(link->server.port, "8443");
  EXPECT_EQ(link->target, "/a/b.gguf?download=true");
  EXPECT_EQ(parse_link("http://h")->text(), "http://h/");
  EXPECT_EQ(parse_link("http://h?q=1")->text(), "http://h/?q=1");
  EXPECT_FALSE(parse_link("ftp://h/x"));
  EXPECT_FALSE(parse_link("https://user:secret@h/x"));
}

TEST(Link, FollowsWhatServersWriteIntoLocation) {
  const std::string from = "https://a.example/models/x?y=/z";
  EXPECT_EQ(followed(from, "https://cdn.example/f?sig=a%2Fb"), "https://cdn.example/f?sig=a%2Fb");
  EXPECT_EQ(followed(from, "//cdn.example/f"), "https://cdn.example/f");
  EXPECT_EQ(followed(from, "/f"), "https://a.example/f");
  EXPECT_EQ(followed(from, "f?q"), "https://a.example/models/f?q");
}

TEST(Link, KnowsWhatStaysOnThisMachine) {
  for (const char* here : {"http://127.0.0.1:1", "http://localhost", "http://[::1]:80"})
    EXPECT_TRUE(is_this_machine(*parse_url(here))) << here;
  for (const char* away : {"http://10.0.0.1", "http://localhost.example", "http://127.attacker.example"})
    EXPECT_FALSE(is_this_machine(*parse_url(away))) << away;
}

TEST(Link, EncodesPaths) {
  EXPECT_EQ(percent_encoded("a/B-c_1.gguf"), "a/B-c_1.gguf");
  EXPECT_EQ(percent_encoded("a b+?#%"), "a%20b%2B%3F%23%25");
}

}  // namespace
}  // namespace pmt::net
