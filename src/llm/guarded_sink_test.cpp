#include "llm/guarded_sink.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "llm/sinks.h"

namespace pmt::llm {
namespace {

class Picky final : public Sink {
 public:
  explicit Picky(bool always) : always_(always) {}
  void on_event(Event&& event) override {
    events.push_back(event);
    if (always_ || !std::holds_alternative<Failed>(event)) throw std::runtime_error("can't be written");
  }
  std::vector<Event> events;

 private:
  const bool always_;
};

TEST(GuardedSink, AnExceptionEndsTheStreamWithTheRequestsId) {
  const auto picky = std::make_shared<Picky>(false);
  GuardedSink sink(picky, "req_9");
  sink.on_event(Started{});
  sink.on_event(Delta{});
  sink.on_event(Done{});
  EXPECT_TRUE(sink.broken());
  ASSERT_EQ(picky->events.size(), 2U) << "the event that it threw at, and why it ended";
  const auto& failed = std::get<Failed>(picky->events[1]);
  EXPECT_EQ(failed.error.code, base::Code::kInternal);
  EXPECT_NE(failed.error.message.find("req_9"), std::string::npos);
}

TEST(GuardedSink, OneThatThrowsAtItsEndToo) {
  const auto picky = std::make_shared<Picky>(true);
  GuardedSink sink(picky, "req_9");
  sink.on_event(Done{});
  sink.on_event(Done{});
  EXPECT_EQ(picky->events.size(), 2U);
  EXPECT_EQ(picky.use_count(), 1) << "released";
}

TEST(GuardedSink, OthersGetEveryEventAndAreReleasedAfterTheLast) {
  const auto inner = std::make_shared<CollectingSink>();
  GuardedSink sink(inner, "req_9");
  sink.on_event(Started{});
  sink.on_event(Done{});
  EXPECT_FALSE(sink.broken());
  EXPECT_EQ(inner->wait().size(), 2U);
  EXPECT_EQ(inner.use_count(), 1);
}

}  // namespace
}  // namespace pmt::llm
