#include "telemetry/trace_context.h"

#include <gtest/gtest.h>

namespace pmt::telemetry {
namespace {

constexpr char kGood[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceContext, ReadsAWellFormedHeader) {
  const auto context = parse_traceparent(kGood);
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(context->span_id, "00f067aa0ba902b7");
  EXPECT_TRUE(context->sampled);
  EXPECT_FALSE(parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")->sampled);
  EXPECT_TRUE(parse_traceparent("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"));
}

TEST(TraceContext, PassesOverWhatIsNot) {
  for (const char* header : {"", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
                             "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                             "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                             "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                             "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                             "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"}) {
    EXPECT_FALSE(parse_traceparent(header)) << header;
  }
}

TEST(TraceContext, NewIdsHaveTheirLengthAndAreNeverZero) {
  std::uint64_t next = 0;
  const auto random = [&next] { return next++; };
  EXPECT_EQ(new_id(random, 16).size(), 16U);
  const std::string id = new_id([] { return std::uint64_t{0}; }, 32);
  EXPECT_EQ(id.size(), 32U);
  EXPECT_NE(id, std::string(32, '0'));
}

}  // namespace
}  // namespace pmt::telemetry
