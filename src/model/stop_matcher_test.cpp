#include "model/stop_matcher.h"

#include <optional>
#include <random>

#include <gtest/gtest.h>

namespace pmt::model {
namespace {

/// What should be shown of `text`: all before the stop string that is complete first, the longest of several.
std::string naive(const std::string& text, const std::vector<std::string>& stops) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::optional<std::size_t> begin;
    for (const std::string& stop : stops) {
      if (stop.size() > end || text.compare(end - stop.size(), stop.size(), stop) != 0) continue;
      begin = std::min(begin.value_or(end), end - stop.size());
    }
    if (begin) return text.substr(0, *begin);
  }
  return text;
}

TEST(StopMatcherTest, HoldsBackWhatMightBeAStop) {
  StopMatcher matcher({"\nUser:"});
  EXPECT_EQ(matcher.push("Hello\nUs"), "Hello");
  EXPECT_EQ(matcher.push("ually"), "\nUsually");
  EXPECT_EQ(matcher.push("\n"), "");
  EXPECT_EQ(matcher.push("User"), "");
  EXPECT_FALSE(matcher.stopped());
  EXPECT_EQ(matcher.push(": more"), "");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.push("more"), "");
  EXPECT_EQ(matcher.flush(), "");
}

TEST(StopMatcherTest, FlushGivesTheHeldBackTail) {
  StopMatcher matcher({"abc"});
  EXPECT_EQ(matcher.push("xab"), "x");
  EXPECT_EQ(matcher.flush(), "ab");
  EXPECT_FALSE(matcher.stopped());
}

TEST(StopMatcherTest, TheFirstCompleteStopCounts) {
  StopMatcher matcher({"abcd", "bc"});
  EXPECT_EQ(matcher.push("xabcd"), "xa");
  EXPECT_TRUE(matcher.stopped());
  StopMatcher longest({"c", "abc"});
  EXPECT_EQ(longest.push("xabc"), "x");
}

TEST(StopMatcherTest, WithoutStopsEverythingPasses) {
  StopMatcher matcher({});
  EXPECT_EQ(matcher.push("abc"), "abc");
  EXPECT_EQ(matcher.flush(), "");
}

TEST(StopMatcherTest, AgreesWithASearchOverTheWholeText) {
  std::mt19937 random(5);
  const auto word = [&](std::size_t length_max) {
    std::string text(1 + random() % length_max, ' ');
    for (char& c : text) c = "ab\n"[random() % 3];
    return text;
  };
  int stopped = 0;
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::string> stops(random() % 4);
    for (std::string& stop : stops) stop = word(6);
    const std::string text = word(30);
    StopMatcher matcher(stops);
    std::string shown;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t length = 1 + random() % 5;
      shown += matcher.push(text.substr(at, length));
      at += length;
    }
    shown += matcher.flush();
    ASSERT_EQ(shown, naive(text, stops)) << "text " << text;
    ASSERT_EQ(matcher.stopped(), shown != text);
    stopped += matcher.stopped() ? 1 : 0;
  }
  EXPECT_GT(stopped, 1000);
}

TEST(StopMatcherTest, ALongRepetitiveStopStaysLinear) {
  StopMatcher matcher({std::string(100'000, 'a') + "b"});
  std::string shown;
  for (int i = 0; i < 1'000'000; ++i) shown += matcher.push("a");
  EXPECT_EQ(shown.size() + matcher.flush().size(), 1'000'000U);
}

}  // namespace
}  // namespace pmt::model
