#include "permutation/engine.h"

#include <gtest/gtest.h>

#include <map>

#include "llm/sinks.h"
#include "permutation/test_engine.h"
#include "response_cache/scripted_completer.h"

namespace pmt::permutation {
namespace {

using json = nlohmann::json;
using llm::CacheStatus;
using response_cache::done_of;
using response_cache::failure_of;
using response_cache::started_report;
using std::chrono::milliseconds;

class EngineTest : public testing::Test {
 protected:
  std::shared_ptr<llm::CollectingSink> ask(llm::Request request, base::CancelToken cancel = {}) {
    auto sink = std::make_shared<llm::CollectingSink>();
    engine_.start(std::move(request), sink, std::move(cancel));
    return sink;
  }
  /// The student takes 250 ms by the clock.
  std::vector<llm::Event> complete(llm::Request request) {
    const int before = student_.calls();
    const auto sink = ask(std::move(request));
    if (student_.calls() > before) {
      student_.begin(before);
      student_.say(before, "Pa");
      clock_.advance(milliseconds(250));
      student_.say(before, "ris");
      student_.finish(before, 2);
    }
    return sink->wait();
  }

  base::FakeClock clock_;
  base::UsageCounter usage_;
  response_cache::ResponseCache cache_{{}, clock_};
  response_cache::ScriptedCompleter student_;
  static CascadeOptions alone(const char* name, llm::Completer& student) {
    CascadeOptions out;
    out.student = {.name = name, .completer = &student};
    return out;
  }
  CascadeOptions options() {
    CascadeOptions out = alone("small", student_);
    out.student.price = [](const llm::Request& r, const llm::Usage& u) {
      return static_cast<double>(r.messages.size()) * 0.5 * static_cast<double>(u.completion_tokens);
    };
    out.response_cache_usage = &usage_;
    return out;
  }
  Engine engine_{options(), cache_, clock_};
};

TEST_F(EngineTest, TheStudentAnswersAMissAndItsStreamPassesThrough) {
  const auto events = complete(question());
  EXPECT_EQ(student_.call(0).request.model, "small");
  EXPECT_EQ(student_.call(0).request.surface, base::Surface::kPermutation);
  EXPECT_EQ(events.size(), 5U);
  EXPECT_EQ(llm::text_of(events), "Paris");
  EXPECT_EQ(std::get<llm::Started>(events.front()).model, "permutation");
  EXPECT_EQ(started_report(events).status, CacheStatus::kMiss);
  EXPECT_TRUE(done_of(events).report.kv && done_of(events).report.timing) << "the student's own figures stay";

  const json metadata = engine_of(events).at("metadata");
  EXPECT_EQ(metadata["components_used"], json({"response_cache", "router", "student"}));
  EXPECT_EQ(metadata["duration_ms"], 250.0);
  EXPECT_EQ(metadata["student_model"], "small");
  EXPECT_EQ(metadata["student_calls"], 1);
  EXPECT_EQ(metadata["teacher_calls"], 0);
  EXPECT_EQ(metadata["cost"], 1.0);
  EXPECT_EQ(metadata["domain"], "geography");
  auto steps = steps_of(events);
  ASSERT_EQ(steps.size(), 5U);
  for (const auto& [component, step] : steps) {
    for (const char* member : {"description", "input", "output", "duration_ms", "status", "metadata"}) {
      EXPECT_TRUE(step.contains(member)) << component << " " << member;
    }
  }
  EXPECT_EQ(steps["response_cache"]["status"], "success");
  EXPECT_EQ(steps["response_cache"]["output"]["status"], "miss");
  EXPECT_EQ(steps["student"]["status"], "success");
  EXPECT_EQ(steps["student"]["duration_ms"], 250.0);
  EXPECT_EQ(steps["student"]["output"]["completion_tokens"], 2);
  EXPECT_EQ(steps["teacher"]["status"], "skipped");
  EXPECT_EQ(steps["teacher"]["metadata"]["why"], "no upstream configured");
  EXPECT_EQ(steps["response_cache.store"]["status"], "success");
  EXPECT_EQ(engine_of(events)["trace"]["total_duration_ms"], 250.0);
  EXPECT_EQ(engine_of(events)["trace"]["errors"], json::array());
  EXPECT_EQ(usage_.count(base::Surface::kPermutation), 0U);
}

TEST_F(EngineTest, AHitTellsOfItsOwnWorkOnly) {
  complete(question());
  const auto events = complete(question());
  EXPECT_EQ(student_.calls(), 1);
  EXPECT_EQ(llm::text_of(events), "Paris");
  EXPECT_EQ(started_report(events).status, CacheStatus::kHit);
  EXPECT_EQ(done_of(events).report.cache->tokens_saved, 12);
  EXPECT_DOUBLE_EQ(done_of(events).report.cache->usd_saved, 1);
  const json metadata = engine_of(events).at("metadata");
  EXPECT_EQ(metadata["components_used"], json({"response_cache"}));
  EXPECT_EQ(metadata["student_calls"], 0);
  EXPECT_EQ(metadata["cost"], 0.0);
  EXPECT_EQ(metadata["duration_ms"], 0.0) << "the clock stood still";
  auto steps = steps_of(events);
  EXPECT_EQ(steps["response_cache"]["output"]["status"], "hit");
  EXPECT_EQ(steps["student"]["status"], "skipped");
  EXPECT_EQ(steps["student"]["metadata"]["why"], "answered by the response cache");
  EXPECT_EQ(steps["student"]["duration_ms"], 0.0);
  EXPECT_EQ(steps["response_cache.store"]["status"], "skipped");
  EXPECT_EQ(usage_.count(base::Surface::kPermutation), 1U);
}

/// One client's request is one lookup and one entry, though a model is asked on the way.
TEST_F(EngineTest, ARequestIsLookedUpAndStoredOnce) {
  complete(question());
  complete(question());
  complete(question("What is the capital of Spain?"));
  const response_cache::Stats stats = cache_.stats();
  EXPECT_EQ(stats.hits, 1U);
  EXPECT_EQ(stats.misses, 2U);
  EXPECT_EQ(stats.stores, 2U);
  EXPECT_EQ(stats.entries, 2U);
  EXPECT_EQ(stats.engine.hits + stats.engine.misses + stats.engine.stores, 0U);
  EXPECT_TRUE(student_.call(0).request.engine_call);
}

TEST_F(EngineTest, TheLookupOfAHitIsReallyTimed) {
  const base::SystemClock clock;
  Engine engine(alone("small", student_), cache_, clock);
  const auto first = std::make_shared<llm::CollectingSink>();
  engine.start(question(), first, {});
  student_.answer(0, {"x"});
  const auto second = std::make_shared<llm::CollectingSink>();
  engine.start(question(), second, {});
  const json trace = engine_of(second->wait()).at("trace");
  const double lookup_ms = trace.at("steps").at(0).at("duration_ms");
  EXPECT_GT(lookup_ms, 0);
  EXPECT_LE(lookup_ms, trace.at("total_duration_ms").get<double>());
}

TEST_F(EngineTest, IdenticalRequestsAtOnceAskTheStudentOnce) {
  const auto first = ask(question());
  const auto second = ask(question());
  clock_.advance(milliseconds(40));
  student_.answer(0, {"x"});
  EXPECT_EQ(student_.calls(), 1);
  EXPECT_EQ(engine_of(first->wait())["metadata"]["student_calls"], 1);
  const json shared = engine_of(second->wait());
  EXPECT_EQ(shared["metadata"]["student_calls"], 0);
  EXPECT_EQ(shared["metadata"]["cost"], 0.0);
  auto steps = steps_of(second->wait());
  EXPECT_EQ(steps["response_cache"]["output"]["status"], "coalesced");
  EXPECT_EQ(steps["response_cache"]["duration_ms"], 40.0);
  EXPECT_EQ(steps["student"]["status"], "skipped");
}

TEST_F(EngineTest, ABypassSaysWhy) {
  llm::Request request = question();
  request.sampling.temperature = 1;
  const auto events = complete(request);
  auto steps = steps_of(events);
  EXPECT_EQ(steps["response_cache"]["status"], "skipped");
  EXPECT_EQ(steps["response_cache"]["metadata"]["why"], "temperature > 0 and no seed");
  EXPECT_EQ(steps["student"]["duration_ms"], 250.0);
  EXPECT_EQ(steps["response_cache.store"]["status"], "skipped");
  EXPECT_EQ(engine_of(events)["metadata"]["components_used"], json({"router", "student"}));
  EXPECT_EQ(engine_of(events)["metadata"]["cost"], 1.0);
}

TEST_F(EngineTest, AFailedStoreIsInTheTrace) {
  response_cache::ResponseCache tiny({.entries_max = 4, .bytes_max = 500}, clock_);
  Engine engine(alone("small", student_), tiny, clock_);
  const auto sink = std::make_shared<llm::CollectingSink>();
  engine.start(question(), sink, {});
  student_.answer(0, {std::string(2000, 'x')});
  auto steps = steps_of(sink->wait());
  EXPECT_EQ(steps["response_cache.store"]["status"], "failed");
  EXPECT_EQ(engine_of(sink->wait())["trace"]["errors"].size(), 1U);
}

TEST_F(EngineTest, NoTraceUnlessAskedFor) {
  llm::Request request = question();
  request.want_trace = false;
  EXPECT_FALSE(engine_of(complete(request)).contains("trace"));
  EXPECT_TRUE(engine_of(complete(question())).contains("trace"))
      << "a hit on an answer that was stored without";
}

TEST_F(EngineTest, NeverSharesWithPlainCompletionsOrAnotherStudent) {
  complete(question());
  Engine other(alone("large", student_), cache_, clock_);
  const auto by_other = std::make_shared<llm::CollectingSink>();
  other.start(question(), by_other, {});
  EXPECT_EQ(student_.calls(), 2);
  student_.answer(1, {"x"});
  EXPECT_EQ(started_report(by_other->wait()).status, CacheStatus::kMiss);

  response_cache::CachedCompleter plain(student_, cache_, clock_,
                                        {.model = kModelName, .versions = {}, .price = {}});
  const auto by_plain = std::make_shared<llm::CollectingSink>();
  plain.start(question(), by_plain, {});
  EXPECT_EQ(student_.calls(), 3);
  student_.answer(2, {"y"});
  EXPECT_EQ(started_report(by_plain->wait()).status, CacheStatus::kMiss);
}

TEST_F(EngineTest, FailuresAndCancelsPassThrough) {
  const auto failing = ask(question());
  student_.fail(0, base::Code::kUnavailable, "queue full");
  EXPECT_EQ(failure_of(failing->wait()).message, "queue full");

  const base::CancelToken cancel;
  const auto leaving = ask(question(), cancel);
  cancel.cancel();
  EXPECT_TRUE(student_.call(1).cancel.cancelled());
  EXPECT_EQ(failure_of(leaving->wait()).code, base::Code::kCancelled);
  student_.fail(1, base::Code::kCancelled, "stopped");
  EXPECT_EQ(cache_.stats().entries, 0U);
}

}  // namespace
}  // namespace pmt::permutation
