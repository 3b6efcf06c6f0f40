#include "response_cache/flight/event_log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "llm/sinks.h"

namespace pmt::response_cache {
namespace {

llm::Delta piece(int i) {
  return {.choice = 0, .text = std::to_string(i) + " ", .logprobs = {}};
}
llm::Failed cancelled() {
  return {base::Error{base::Code::kCancelled, "left"}};
}

TEST(EventLog, ALateSinkGetsEverythingInOrder) {
  EventLog log;
  const auto early = std::make_shared<llm::CollectingSink>();
  const auto late = std::make_shared<llm::CollectingSink>();
  const auto last = std::make_shared<llm::CollectingSink>();
  log.attach(early);
  log.append(llm::Started{});
  log.append(piece(1));
  log.attach(late);
  log.append(piece(2));
  log.append(llm::Done{});
  log.attach(last);
  for (const auto* sink_at : {&early, &late, &last}) {
    const auto& sink = *sink_at;
    EXPECT_EQ(sink.use_count(), 1) << "released after its terminal event";
    EXPECT_EQ(sink->wait().size(), 4U);
    EXPECT_EQ(llm::text_of(sink->wait()), "1 2 ");
  }
}

TEST(EventLog, ADetachedSinkEndsAtOnceAndOnlyOnce) {
  EventLog log;
  const auto sink = std::make_shared<llm::CollectingSink>();
  log.attach(sink);
  log.append(piece(1));
  log.detach(*sink, cancelled());
  log.detach(*sink, cancelled());
  log.append(llm::Done{});
  const auto events = sink->wait();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<llm::Failed>(events.back()));
}

TEST(EventLog, ASinkMayDetachItselfInItsOwnEvent) {
  EventLog log;
  std::vector<llm::Event> got;
  llm::Sink* self = nullptr;
  const auto sink = std::make_shared<llm::FunctionSink>([&](llm::Event event) {
    got.push_back(std::move(event));
    if (got.size() == 2) {
      log.detach(*self, cancelled());
      EXPECT_EQ(got.size(), 2U) << "no event inside an event";
    }
  });
  self = sink.get();
  log.append(piece(1));
  log.append(piece(2));
  log.append(piece(3));
  log.attach(sink);
  ASSERT_EQ(got.size(), 3U);
  EXPECT_TRUE(std::holds_alternative<llm::Failed>(got.back()));
}

// A sink that stands still with its backlog, in its own thread, must not hold up the producer.
TEST(EventLog, ABusySinkDoesNotBlockTheProducer) {
  EventLog log;
  std::atomic<bool> inside = false, go_on = false;
  std::atomic<int> seen = 0;
  const auto slow = std::make_shared<llm::FunctionSink>([&](const llm::Event&) {
    inside = true;
    while (!go_on) std::this_thread::yield();
    ++seen;
  });
  log.append(llm::Started{});
  std::thread reader([&] { log.attach(slow); });
  while (!inside) std::this_thread::yield();
  for (int i = 0; i < 100; ++i) log.append(piece(i));
  log.append(llm::Done{});
  go_on = true;
  reader.join();
  EXPECT_EQ(seen, 102);
}

TEST(EventLog, ManySinksAttachAndDetachWhileEventsFlow) {
  constexpr int kSinks = 200, kEvents = 400;
  EventLog log;
  struct Reader final : llm::Sink {
    void on_event(llm::Event&& event) override {
      EXPECT_FALSE(inside.exchange(true)) << "overlapping calls";
      EXPECT_FALSE(ended);
      if (const auto* delta = std::get_if<llm::Delta>(&event)) {
        EXPECT_EQ(delta->text, piece(next++).text);
      }
      ended = llm::is_terminal(event);
      inside = false;
    }
    std::atomic<bool> inside = false;
    int next = 0;
    std::atomic<bool> ended = false;
  };
  std::vector<std::shared_ptr<Reader>> readers(kSinks);
  for (auto& reader : readers) reader = std::make_shared<Reader>();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = t; i < kSinks; i += 4) {
        log.attach(readers[i]);
        if (i % 5 == 0) log.detach(*readers[i], cancelled());
      }
    });
  }
  for (int i = 0; i < kEvents; ++i) log.append(piece(i));
  log.append(llm::Done{});
  for (auto& thread : threads) thread.join();
  for (int i = 0; i < kSinks; ++i) {
    EXPECT_TRUE(readers[i]->ended) << i;
    if (i % 5 != 0) {
      EXPECT_EQ(readers[i]->next, kEvents) << i;
    }
  }
}

TEST(EventLog, ASinkThatThrowsLosesItsOwnStreamOnly) {
  EventLog log;
  std::vector<llm::Event> told;
  const auto bad = std::make_shared<llm::FunctionSink>([&told](llm::Event event) {
    told.push_back(event);
    if (std::holds_alternative<llm::Delta>(event)) throw std::runtime_error("can't be written");
  });
  const auto good = std::make_shared<llm::CollectingSink>();
  log.attach(bad);
  log.attach(good);
  log.append(llm::Started{});
  log.append(piece(1));
  log.append(piece(2));
  log.append(llm::Done{});
  EXPECT_EQ(llm::text_of(good->wait()), "1 2 ");
  ASSERT_EQ(told.size(), 3U) << "Started, the piece, and why it ended";
  EXPECT_EQ(std::get<llm::Failed>(told.back()).error.code, base::Code::kInternal);
  EXPECT_EQ(bad.use_count(), 1);
}

}  // namespace
}  // namespace pmt::response_cache
