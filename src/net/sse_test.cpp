#include "net/sse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::net {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Sse, WritesADataLineForEachLine) {
  EXPECT_EQ(sse_event("[DONE]"), "data: [DONE]\n\n");
  EXPECT_EQ(sse_event("a\nb\r\nc"), "data: a\ndata: b\ndata: c\n\n");
  EXPECT_EQ(sse_event(""), "data: \n\n");
}

TEST(SseParser, ReadsWhatWasWrittenInPiecesOfAnySize) {
  const std::string stream = ": ping\r\n\r\nevent: x\r\ndata: {\"a\":1}\r\n\r\n" + sse_event("two\nlines") +
                             "id: 7\n\ndata:tight\rdata:  wide\r\r" + sse_event("") + sse_event("[DONE]");
  const std::vector<std::string> expected = {R"({"a":1})", "two\nlines", "tight\n wide", "", "[DONE]"};
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    SseParser parser;
    std::vector<std::string> events;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      for (auto& event : parser.feed(std::string_view(stream).substr(at, piece))) events.push_back(event);
    }
    EXPECT_EQ(events, expected) << "pieces of " << piece;
  }
}

TEST(SseParser, KeepsAnUnfinishedEventBack) {
  SseParser parser;
  EXPECT_THAT(parser.feed("data: half"), IsEmpty());
  EXPECT_THAT(parser.feed(" and half\n"), IsEmpty());
  EXPECT_THAT(parser.feed("\ndata: next"), ElementsAre("half and half"));
}

TEST(SseParser, AnEventHasItsName) {
  SseParser parser;
  const auto events =
      parser.feed_events("event: ping\ndata: {}\n\nevent:x\n\ndata: a\n\ndata: b\nevent: error\n\n");
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].name, "ping");
  EXPECT_EQ(events[1].name, "") << "of an event without data nothing is left";
  EXPECT_EQ(events[2].name, "error");
  EXPECT_EQ(events[2].data, "b");
}

}  // namespace
}  // namespace pmt::net
