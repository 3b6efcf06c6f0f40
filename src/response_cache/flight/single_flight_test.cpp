#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "llm/sinks.h"
#include "response_cache/cached_completer.h"
#include "response_cache/scripted_completer.h"

namespace pmt::response_cache {
namespace {

using llm::CacheStatus;

llm::Request question() {
  llm::Request request;
  request.prompt = "Once upon a time";
  request.endpoint = llm::Endpoint::kCompletions;
  request.sampling.temperature = 0;
  return request;
}

class SingleFlightTest : public testing::Test {
 protected:
  struct Asked {
    std::shared_ptr<llm::CollectingSink> sink = std::make_shared<llm::CollectingSink>();
    base::CancelToken cancel;
  };
  Asked ask(llm::Request request = question()) {
    Asked asked;
    cached_.start(std::move(request), asked.sink, asked.cancel);
    return asked;
  }

  base::FakeClock clock_;
  base::UsageCounter usage_;
  ResponseCache cache_{{}, clock_};
  ScriptedCompleter model_;
  CachedCompleter cached_{
      model_, cache_, clock_, {.model = "scripted", .versions = {}, .price = {}, .usage = &usage_}};
};

TEST_F(SingleFlightTest, FollowersShareALiveStream) {
  const Asked leader = ask();
  model_.begin(0);
  model_.say(0, "there ");
  const Asked follower = ask();
  model_.say(0, "was");
  model_.finish(0, 2);
  const auto first = leader.sink->wait();
  const auto second = follower.sink->wait();
  EXPECT_EQ(model_.calls(), 1);
  EXPECT_EQ(llm::text_of(second), "there was");
  EXPECT_EQ(started_report(first).status, CacheStatus::kMiss);
  EXPECT_EQ(started_report(second).status, CacheStatus::kCoalesced);
  const auto& report = done_of(second).report;
  EXPECT_EQ(report.cache->status, CacheStatus::kCoalesced);
  EXPECT_EQ(report.cache->tokens_saved, 12);
  EXPECT_FALSE(report.kv || report.timing || report.speculation);
  EXPECT_EQ(usage_.count(base::Surface::kCompletions), 1U);
  EXPECT_EQ(cache_.stats().coalesced, 1U);
  EXPECT_EQ(cache_.stats().tokens_saved, 12);
}

TEST_F(SingleFlightTest, AThousandAtOnceAreComputedOnce) {
  constexpr int kThreads = 8, kEach = 125;
  std::vector<std::vector<Asked>> asked(kThreads);
  std::thread producer([&] {  // speaks while they are still coming
    model_.call(0);
    model_.begin(0);
    for (int i = 0; i < 100; ++i) model_.say(0, std::to_string(i) + " ");
    model_.finish(0, 100);
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) asked[t].push_back(ask());
    });
  }
  for (auto& thread : threads) thread.join();
  producer.join();
  std::string text;
  for (int i = 0; i < 100; ++i) text += std::to_string(i) + " ";
  std::map<CacheStatus, int> statuses;
  for (const auto& some : asked) {
    for (const auto& one : some) {
      const auto events = one.sink->wait();
      EXPECT_EQ(llm::text_of(events), text);
      EXPECT_EQ(done_of(events).usage.completion_tokens, 100);
      EXPECT_EQ(started_report(events).status, done_of(events).report.cache->status);
      ++statuses[started_report(events).status];
    }
  }
  EXPECT_EQ(model_.calls(), 1);
  EXPECT_EQ(statuses[CacheStatus::kMiss], 1);
  EXPECT_EQ(statuses[CacheStatus::kCoalesced] + statuses[CacheStatus::kHit], kThreads * kEach - 1);
  const Stats stats = cache_.stats();
  EXPECT_EQ(stats.coalesced, static_cast<std::uint64_t>(statuses[CacheStatus::kCoalesced]));
  EXPECT_EQ(stats.hits, static_cast<std::uint64_t>(statuses[CacheStatus::kHit]));
  EXPECT_EQ(stats.hits + stats.misses, 1000U);
  EXPECT_EQ(usage_.count(base::Surface::kCompletions), 999U);
}

TEST_F(SingleFlightTest, AThousandWaitingEndTogether) {
  std::vector<Asked> asked;
  for (int i = 0; i < 1000; ++i) asked.push_back(ask());
  model_.answer(0, {"a", "b"});
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto events = asked[i].sink->wait();
    EXPECT_EQ(events.size(), 5U);
    EXPECT_EQ(started_report(events).status, i == 0 ? CacheStatus::kMiss : CacheStatus::kCoalesced);
  }
  EXPECT_EQ(model_.calls(), 1);
  EXPECT_EQ(cache_.stats().coalesced, 999U);
}

TEST_F(SingleFlightTest, AFailedLeaderHandsOver) {
  std::vector<Asked> asked;
  for (int i = 0; i < 5; ++i) asked.push_back(ask());
  model_.begin(0);  // held back by the followers: nothing seen
  model_.fail(0, base::Code::kUnavailable, "first");
  EXPECT_EQ(failure_of(asked[0].sink->wait()).message, "first");
  ASSERT_EQ(model_.calls(), 2) << "one of them leads, the others follow it";
  model_.answer(1, {"done"});
  int led = 0;
  for (int i = 1; i < 5; ++i) {
    const auto events = asked[i].sink->wait();
    EXPECT_EQ(llm::text_of(events), "done");
    EXPECT_EQ(std::count_if(events.begin(), events.end(),
                            [](const auto& e) { return std::holds_alternative<llm::Started>(e); }),
              1);
    EXPECT_EQ(started_report(events).status, done_of(events).report.cache->status);
    led += started_report(events).status == CacheStatus::kMiss ? 1 : 0;
  }
  EXPECT_EQ(led, 1);
  EXPECT_EQ(cache_.stats().entries, 1U);
}

TEST_F(SingleFlightTest, WhenEveryLeaderFailsEachHasItsOwnFailure) {
  std::vector<Asked> asked;
  for (int i = 0; i < 4; ++i) asked.push_back(ask());
  for (int i = 0; i < 4; ++i) model_.fail(i, base::Code::kUnavailable, "failure " + std::to_string(i));
  std::set<std::string> messages;
  for (const auto& one : asked) messages.insert(failure_of(one.sink->wait()).message);
  EXPECT_EQ(messages.size(), 4U);
  EXPECT_EQ(model_.calls(), 4);
  EXPECT_EQ(cache_.stats().entries, 0U);
}

TEST_F(SingleFlightTest, AFollowerWithPartOfAnAnswerFailsWithIt) {
  const Asked leader = ask();
  const Asked follower = ask();
  model_.begin(0);
  model_.say(0, "part");
  model_.fail(0, base::Code::kInternal, "broke");
  EXPECT_EQ(failure_of(follower.sink->wait()).message, "broke");
  EXPECT_EQ(llm::text_of(follower.sink->wait()), "part");
  EXPECT_EQ(model_.calls(), 1);
}

TEST_F(SingleFlightTest, ALeaderThatLeavesDoesNotTakeItsFollowersAlong) {
  const Asked leader = ask();
  const Asked follower = ask();
  model_.begin(0);
  leader.cancel.cancel();
  EXPECT_EQ(failure_of(leader.sink->wait()).code, base::Code::kCancelled) << "at once";
  EXPECT_FALSE(model_.call(0).cancel.cancelled());
  model_.say(0, "x");
  model_.finish(0, 1);
  EXPECT_EQ(llm::text_of(follower.sink->wait()), "x");
  EXPECT_EQ(cache_.stats().entries, 1U);
}

TEST_F(SingleFlightTest, TheLastToLeaveStopsTheComputation) {
  const Asked leader = ask();
  const Asked follower = ask();
  follower.cancel.cancel();
  EXPECT_FALSE(model_.call(0).cancel.cancelled());
  leader.cancel.cancel();
  EXPECT_TRUE(model_.call(0).cancel.cancelled());
  const Asked next = ask();  // must not join what is being stopped
  EXPECT_EQ(model_.calls(), 2);
  model_.fail(0, base::Code::kCancelled, "stopped");
  model_.answer(1, {"y"});
  EXPECT_EQ(llm::text_of(next.sink->wait()), "y");
  EXPECT_EQ(failure_of(follower.sink->wait()).code, base::Code::kCancelled);
}

TEST_F(SingleFlightTest, ACallerThatHasLeftIsNotServed) {
  const base::CancelToken cancel;
  cancel.cancel();
  const auto sink = std::make_shared<llm::CollectingSink>();
  cached_.start(question(), sink, cancel);
  EXPECT_EQ(failure_of(sink->wait()).code, base::Code::kCancelled);
  EXPECT_EQ(model_.calls(), 0);
}

TEST_F(SingleFlightTest, OneMayCancelInsideItsOwnEvent) {
  const base::CancelToken cancel;
  std::vector<llm::Event> got;
  const auto sink = std::make_shared<llm::FunctionSink>([&](llm::Event event) {
    got.push_back(std::move(event));
    if (got.size() == 2) cancel.cancel();
  });
  cached_.start(question(), sink, cancel);
  model_.begin(0);
  model_.say(0, "a");
  model_.say(0, "b");
  ASSERT_EQ(got.size(), 3U);
  EXPECT_EQ(failure_of(got).code, base::Code::kCancelled);
  EXPECT_TRUE(model_.call(0).cancel.cancelled());
  model_.fail(0, base::Code::kCancelled, "stopped");
}

TEST_F(SingleFlightTest, AReaderThatWritesMakesASharedAnswerStored) {
  llm::Request read_only = question();
  read_only.cache.mode = llm::CacheMode::kReadOnly;
  const Asked leader = ask(read_only);
  const Asked follower = ask();
  model_.answer(0, {"z"});
  follower.sink->wait();
  EXPECT_EQ(cache_.stats().entries, 1U);
}

TEST_F(SingleFlightTest, ARefreshComputesForItself) {
  const Asked running = ask();
  llm::Request refresh = question();
  refresh.cache.mode = llm::CacheMode::kRefresh;
  const Asked refreshing = ask(refresh);
  EXPECT_EQ(model_.calls(), 2);
  model_.answer(1, {"new"});
  EXPECT_EQ(llm::text_of(refreshing.sink->wait()), "new");
  model_.answer(0, {"old"});
  EXPECT_EQ(llm::text_of(running.sink->wait()), "old");
}

// Everybody comes, leaves and fails at once: each stream must still end, once.
TEST_F(SingleFlightTest, EveryStreamEndsOnceInTheThickOfIt) {
  constexpr int kThreads = 6, kEach = 200;
  struct Checked final : llm::Sink {
    void on_event(llm::Event&& event) override {
      EXPECT_FALSE(ended) << "an event after the terminal one";
      EXPECT_TRUE(started || llm::is_terminal(event) || std::holds_alternative<llm::Started>(event));
      EXPECT_FALSE(started && std::holds_alternative<llm::Started>(event));
      started = started || std::holds_alternative<llm::Started>(event);
      if (const auto* delta = std::get_if<llm::Delta>(&event)) text += delta->text;
      if (std::holds_alternative<llm::Done>(event)) {
        EXPECT_EQ(text, "abc");
      }
      ended = llm::is_terminal(event);
    }
    bool started = false;
    std::string text;
    std::atomic<bool> ended = false;
  };
  std::vector<std::vector<std::shared_ptr<Checked>>> sinks(kThreads);
  std::atomic<bool> stop = false;
  std::thread producer([&] {
    for (int i = 0;; ++i) {
      while (model_.calls() <= i) {
        if (stop && model_.calls() <= i) return;
        std::this_thread::yield();
      }
      if (i % 3 == 0) model_.begin(i);
      if (i % 2 == 0 || model_.call(i).cancel.cancelled()) {
        model_.fail(i, base::Code::kUnavailable, "busy");
      } else if (i % 3 == 0) {
        for (const char* piece : {"a", "b", "c"}) model_.say(i, piece);
        model_.finish(i, 3);
      } else {
        model_.answer(i, {"a", "b", "c"});
      }
      cache_.purge({});
    }
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const base::CancelToken cancel;
        sinks[t].push_back(std::make_shared<Checked>());
        cached_.start(question(), sinks[t].back(), cancel);
        if (i % 3 == 0) cancel.cancel();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& some : sinks) {
    for (const auto& sink : some) {
      while (!sink->ended) std::this_thread::yield();
    }
  }
  stop = true;
  producer.join();
}

}  // namespace
}  // namespace pmt::response_cache
