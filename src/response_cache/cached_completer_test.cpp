#include "response_cache/cached_completer.h"

#include <map>

#include <gtest/gtest.h>

#include "llm/sinks.h"
#include "response_cache/scripted_completer.h"
#include "response_cache/store/canonical_key.h"

namespace pmt::response_cache {
namespace {

using llm::CacheMode;
using llm::CacheStatus;

llm::Request question(const std::string& text = "What is the capital of France?") {
  llm::Request request;
  request.messages.push_back(
      {.role = "user", .content = text, .name = {}, .tool_calls = {}, .tool_call_id = {}});
  request.sampling.temperature = 0;
  return request;
}

/// Its answer lives for a minute, and half a minute more while it is refreshed.
llm::Request perishable_question() {
  llm::Request request = question();
  request.cache.ttl_s = 60;
  request.cache.stale_while_revalidate_s = 30;
  return request;
}

class CachedCompleterTest : public testing::Test {
 protected:
  std::shared_ptr<llm::CollectingSink> ask(llm::Request request) {
    auto sink = std::make_shared<llm::CollectingSink>();
    cached_.start(std::move(request), sink, {});
    return sink;
  }
  /// Asks, and lets the model answer if it is asked.
  std::vector<llm::Event> complete(llm::Request request,
                                   const std::vector<std::string>& pieces = {"Pa", "ris"}) {
    const int before = model_.calls();
    const auto sink = ask(std::move(request));
    if (model_.calls() > before) model_.answer(before, pieces);
    return sink->wait();
  }

  base::FakeClock clock_;
  base::UsageCounter usage_;
  ResponseCache cache_{{}, clock_};
  ScriptedCompleter model_;
  CachedCompleter cached_{
      model_,
      cache_,
      clock_,
      {.model = "scripted",
       .versions = {{"file", "1"}},
       .price = [](const llm::Request&,
                   const llm::Usage& u) { return 0.25 * static_cast<double>(u.completion_tokens); },
       .usage = &usage_}};
};

TEST_F(CachedCompleterTest, AMissThenAHit) {
  const std::string key = request_key(question(), "scripted", {{"file", "1"}}).hex();
  const auto miss = complete(question());
  EXPECT_EQ(started_report(miss).status, CacheStatus::kMiss);
  EXPECT_EQ(started_report(miss).key, key);
  EXPECT_EQ(done_of(miss).report.cache->status, CacheStatus::kMiss);
  EXPECT_EQ(done_of(miss).report.cache->why, "no request with this question was cached");
  EXPECT_TRUE(done_of(miss).report.kv && done_of(miss).report.timing);
  EXPECT_EQ(miss.size(), 5U) << "streamed piece by piece";

  clock_.advance(std::chrono::seconds(12));
  const auto hit = complete(question());
  EXPECT_EQ(model_.calls(), 1);
  EXPECT_EQ(llm::text_of(hit), "Paris");
  EXPECT_EQ(hit.size(), 4U);
  for (const auto& report : {started_report(hit), *done_of(hit).report.cache}) {
    EXPECT_EQ(report.status, CacheStatus::kHit);
    EXPECT_EQ(report.key, key);
    EXPECT_DOUBLE_EQ(report.age_s, 12);
    EXPECT_EQ(report.tokens_saved, 12);
    EXPECT_DOUBLE_EQ(report.usd_saved, 0.5);
    EXPECT_EQ(report.why, "");
  }
  EXPECT_EQ(done_of(hit).usage.prompt_tokens, 10);
  EXPECT_FALSE(done_of(hit).report.kv || done_of(hit).report.timing || done_of(hit).report.speculation);
  EXPECT_EQ(done_of(hit).report.engine, nlohmann::json::parse(R"({"metadata": {"of": "the answer"}})"));
  EXPECT_EQ(usage_.count(base::Surface::kCompletions), 1U);
}

TEST_F(CachedCompleterTest, LookupsAndUsesAreCountedForWhoAsked) {
  llm::Request ours = question(), theirs = question();
  ours.tenant = "a";
  ours.key = "ann";
  theirs.tenant = "b";
  theirs.key = "bob";
  complete(ours);
  complete(ours);
  complete(theirs);
  // Two at once: the second has the first one's answer.
  llm::Request another = theirs;
  another.messages.back().content = "And of Spain?";
  const auto first = ask(another), second = ask(another);
  model_.answer(2, {"Madrid"});
  first->wait();
  second->wait();

  const auto users = usage_.by_user();
  ASSERT_EQ(users.size(), 2U);
  const auto completions = static_cast<std::size_t>(base::Surface::kCompletions);
  EXPECT_EQ(users.at({"scripted", "a", "ann"})[completions].count, 1U);
  EXPECT_EQ(users.at({"scripted", "a", "ann"})[completions].tokens, 12);
  EXPECT_EQ(users.at({"scripted", "b", "bob"})[completions].tokens, 11);
  std::map<std::string, Stats> found;
  for (const auto& [who, stats] : cache_.stats_by_owner()) found[who.model + "/" + who.tenant] = stats;
  EXPECT_EQ(found["scripted/a"].hits, 1U);
  EXPECT_EQ(found["scripted/a"].misses, 1U);
  EXPECT_EQ(found["scripted/b"].hits, 0U);
  EXPECT_EQ(found["scripted/b"].misses, 3U);
  EXPECT_EQ(found["scripted/b"].coalesced, 1U);
  EXPECT_EQ(found["scripted/b"].tokens_saved, 11);
  EXPECT_EQ(found["/"].hits + found["/"].misses, 0U) << "nobody's";
}

TEST_F(CachedCompleterTest, EachModeReadsAndWritesAsTheTableSays) {
  const struct {
    CacheMode mode;
    CacheStatus cold, warm;
    bool stores, computes_when_warm;
  } cases[] = {
      {CacheMode::kOn, CacheStatus::kMiss, CacheStatus::kHit, true, false},
      {CacheMode::kReadOnly, CacheStatus::kMiss, CacheStatus::kHit, false, false},
      {CacheMode::kWriteOnly, CacheStatus::kMiss, CacheStatus::kMiss, true, true},
      {CacheMode::kRefresh, CacheStatus::kMiss, CacheStatus::kMiss, true, true},
      {CacheMode::kOff, CacheStatus::kBypass, CacheStatus::kBypass, false, true},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(static_cast<int>(c.mode));
    cache_.purge({});
    llm::Request request = question();
    request.cache.mode = c.mode;
    EXPECT_EQ(started_report(complete(request, {"new"})).status, c.cold);
    EXPECT_EQ(cache_.stats().entries, c.stores ? 1U : 0U);
    complete(question(), {"old"});
    const int before = model_.calls();
    EXPECT_EQ(started_report(complete(request, {"newer"})).status, c.warm);
    EXPECT_EQ(model_.calls() > before, c.computes_when_warm);
    const std::string now = llm::text_of(complete(question()));
    EXPECT_EQ(now, c.stores && c.computes_when_warm ? "newer" : (c.stores ? "new" : "old"));
  }
}

TEST_F(CachedCompleterTest, OnlyRepeatableRequestsAreReused) {
  llm::Request warm = question();
  warm.sampling.temperature = 0.7F;
  const auto report = started_report(complete(warm));
  EXPECT_EQ(report.status, CacheStatus::kBypass);
  EXPECT_EQ(report.why, "temperature > 0 and no seed");
  EXPECT_EQ(report.key, "");
  EXPECT_EQ(cache_.stats().entries, 0U);

  llm::Request seeded = warm;
  seeded.sampling.seed = 7;
  complete(seeded);
  EXPECT_EQ(started_report(complete(seeded)).status, CacheStatus::kHit);

  llm::Request wanted = warm;
  wanted.cache.reusable = true;
  complete(wanted);
  EXPECT_EQ(started_report(complete(wanted)).status, CacheStatus::kHit);

  llm::Request unwanted = seeded;
  unwanted.cache.reusable = false;
  EXPECT_EQ(done_of(complete(unwanted)).report.cache->why, "reusable is false");
}

TEST_F(CachedCompleterTest, OnlyIfCachedNeverComputes) {
  llm::Request request = question();
  request.cache.only_if_cached = true;
  EXPECT_EQ(failure_of(complete(request)).code, base::Code::kUnprocessable);
  for (const CacheMode mode : {CacheMode::kOff, CacheMode::kRefresh, CacheMode::kWriteOnly}) {
    request.cache.mode = mode;
    EXPECT_EQ(failure_of(complete(request)).code, base::Code::kUnprocessable);
  }
  request.cache.mode = CacheMode::kOn;
  EXPECT_EQ(model_.calls(), 0);
  complete(question());
  EXPECT_EQ(started_report(complete(request)).status, CacheStatus::kHit);
}

TEST_F(CachedCompleterTest, TtlAndMaxAgeHold) {
  llm::Request request = question();
  request.cache.ttl_s = 60;
  complete(request);
  clock_.advance(std::chrono::seconds(30));
  llm::Request fresh = question();
  fresh.cache.max_age_s = 20;
  EXPECT_EQ(started_report(complete(fresh)).status, CacheStatus::kMiss);
  EXPECT_EQ(started_report(complete(fresh)).status, CacheStatus::kHit) << "the newer answer took its place";
  request = question("Another?");
  request.cache.ttl_s = 60;
  complete(request);
  clock_.advance(std::chrono::seconds(60));
  EXPECT_EQ(started_report(complete(request)).status, CacheStatus::kMiss);
}

TEST_F(CachedCompleterTest, AStaleAnswerIsGivenWhileItIsComputedAnew) {
  const llm::Request request = perishable_question();
  complete(request, {"old"});
  clock_.advance(std::chrono::seconds(70));
  const auto stale = ask(request)->wait();
  EXPECT_EQ(llm::text_of(stale), "old");
  EXPECT_EQ(done_of(stale).report.cache->status, CacheStatus::kStale);
  ASSERT_EQ(model_.calls(), 2) << "refreshed behind it";
  EXPECT_EQ(llm::text_of(ask(request)->wait()), "old");
  EXPECT_EQ(model_.calls(), 2) << "once, not for every caller";
  EXPECT_EQ(cache_.stats().stale, 2U);
  model_.answer(1, {"new"});
  const auto fresh = ask(request)->wait();
  EXPECT_EQ(llm::text_of(fresh), "new");
  EXPECT_EQ(done_of(fresh).report.cache->status, CacheStatus::kHit);

  clock_.advance(std::chrono::seconds(100));
  const auto late = complete(request, {"newest"});
  EXPECT_EQ(llm::text_of(late), "newest") << "past the stale time it is a miss";
  EXPECT_EQ(done_of(late).report.cache->why, "the entry under this key has expired");
}

TEST_F(CachedCompleterTest, AStaleAnswerOnlyForThoseWhoTakeIt) {
  const llm::Request request = perishable_question();
  complete(request, {"old"});
  clock_.advance(std::chrono::seconds(70));
  EXPECT_EQ(llm::text_of(complete(question(), {"new"})), "new");
}

TEST_F(CachedCompleterTest, ARefreshThatFailsLeavesTheStaleAnswer) {
  const llm::Request request = perishable_question();
  complete(request, {"old"});
  clock_.advance(std::chrono::seconds(61));
  EXPECT_EQ(llm::text_of(ask(request)->wait()), "old");
  model_.fail(1, base::Code::kUnavailable, "down");
  EXPECT_EQ(llm::text_of(ask(request)->wait()), "old");
  EXPECT_EQ(model_.calls(), 3) << "and it is tried again";
  model_.fail(2, base::Code::kUnavailable, "down");
}

TEST_F(CachedCompleterTest, AMissNamesThePartsThatDiffer) {
  const auto why = [&](llm::Request request) {
    return done_of(complete(std::move(request))).report.cache->why;
  };
  complete(question());
  llm::Request other = question();
  other.sampling.top_p = 0.5F;
  other.messages.insert(
      other.messages.begin(),
      {.role = "system", .content = "It is Monday.", .name = {}, .tool_calls = {}, .tool_call_id = {}});
  EXPECT_EQ(
      why(other),
      "the nearest request that was cached differs in: system prompt, temperature and other sampling (top_p 1 "
      "there, 0.5 here)");
  other.messages[0].content = "It is Tuesday.";
  EXPECT_EQ(why(other), "the nearest request that was cached differs in: system prompt");
  EXPECT_EQ(why(question("And of Peru?")), "no request with this question was cached");
  llm::Request elsewhere = question();
  elsewhere.cache.name_space = "team-b";
  EXPECT_EQ(why(elsewhere), "no request with this question was cached")
      << "another namespace is not looked into";
  cache_.purge({});
  EXPECT_EQ(why(question()),
            "the same request was asked, but its entry is not there: evicted, purged or never stored");
  other.messages[0].content = "You are brief and never rude. It is Monday.";
  why(other);
  other.messages[0].content = "You are brief and never rude. It is Tuesday.";
  other.sampling.seed = 7;
  other.max_tokens = 9;
  EXPECT_EQ(
      why(other),
      "the nearest request that was cached differs in: system prompt (alike for the first 32 bytes), seed "
      "(none there, 7 here), length, stop and n (max_tokens none there, 9 here)");
}

/// An engine's own option.
struct Depth {
  static constexpr std::string_view kName = "deep";
  int max = 1;
  nlohmann::json key() const { return {{"max", max}}; }
  friend bool operator==(const Depth&, const Depth&) = default;
};

TEST_F(CachedCompleterTest, AMissNamesOptionsThatFewSend) {
  complete(question());
  llm::Request sampled = question();
  sampled.other_options = R"({"typical_p":0.9})";
  llm::Request deep = question();
  deep.options.set(Depth{.max = 2});
  for (const llm::Request& request : {sampled, deep}) {
    EXPECT_EQ(done_of(complete(request)).report.cache->why,
              "the nearest request that was cached differs in: kv, knowledge, versions or other fields");
  }
}

TEST_F(CachedCompleterTest, TagsModelAndNamespaceAreKept) {
  llm::Request request = question();
  request.cache.tags = {"faq"};
  request.cache.name_space = "team-a";
  complete(request);
  EXPECT_EQ(started_report(complete(question())).status, CacheStatus::kMiss) << "another namespace";
  EXPECT_EQ(cache_.purge({.tag = "faq", .model = "scripted", .name_space = "team-a"}), 1U);
}

TEST_F(CachedCompleterTest, AFailureIsNeverStored) {
  const auto sink = ask(question());
  model_.begin(0);
  model_.say(0, "Par");
  model_.fail(0, base::Code::kExhausted, "no pages");
  EXPECT_EQ(failure_of(sink->wait()).message, "no pages");
  EXPECT_EQ(cache_.stats().entries, 0U);
  EXPECT_EQ(started_report(complete(question())).status, CacheStatus::kMiss);
}

TEST_F(CachedCompleterTest, SaysWhyAnAnswerCouldNotBeStored) {
  ResponseCache tiny({.entries_max = 4, .bytes_max = 1000}, clock_);
  CachedCompleter cached(model_, tiny, clock_, {.model = "scripted", .versions = {}, .price = {}});
  const auto sink = std::make_shared<llm::CollectingSink>();
  cached.start(question(), sink, {});
  model_.answer(0, {std::string(5000, 'x')});
  EXPECT_NE(done_of(sink->wait()).report.cache->why.find("not stored"), std::string::npos);
}

TEST_F(CachedCompleterTest, AJsonValueUnderTheSameKeyIsNotAnAnswer) {
  const Key key = request_key(question(), "scripted", {{"file", "1"}});
  ASSERT_TRUE(cache_.store(key, Value{nlohmann::json("put by hand")}, {}));
  const auto events = complete(question());
  EXPECT_EQ(llm::text_of(events), "Paris");
  EXPECT_EQ(done_of(events).report.cache->why, "the key holds a computation result, not an answer");
  EXPECT_EQ(cache_.stats().hits, 0U);
  EXPECT_EQ(cache_.stats().misses, 1U);
}

TEST_F(CachedCompleterTest, EveryLookupIsOneHitOrOneMiss) {
  complete(question());  // a miss
  complete(question());  // a hit
  llm::Request absent = question();
  absent.messages.clear();
  absent.endpoint = llm::Endpoint::kCompletions;
  absent.prompt = "never asked";
  absent.cache.only_if_cached = true;
  const auto refused = std::make_shared<llm::CollectingSink>();
  cached_.start(llm::Request(absent), refused, {});  // a miss that computes nothing
  absent.cache.only_if_cached = false;
  const base::CancelToken left;
  left.cancel();
  cached_.start(llm::Request(absent), std::make_shared<llm::CollectingSink>(),
                left);  // one whose caller left
  absent.budget.tokens = 5;
  const auto bounded = std::make_shared<llm::CollectingSink>();
  cached_.start(llm::Request(absent), bounded, {});  // one that computes for itself
  model_.answer(model_.calls() - 1, {"cut"});
  absent.budget = {};
  absent.cache.mode = CacheMode::kRefresh;
  cached_.start(llm::Request(absent), std::make_shared<llm::CollectingSink>(), {});  // looks nothing up
  model_.answer(model_.calls() - 1, {"new"});
  EXPECT_EQ(cache_.stats().hits, 1U);
  EXPECT_EQ(cache_.stats().misses, 4U);
}

TEST_F(CachedCompleterTest, AnEnginesOwnCallIsNoClientsRequest) {
  llm::Request own = question();
  own.engine_call = true;
  complete(own);
  complete(own);
  const auto first = ask([&] {
    llm::Request another = own;
    another.messages.back().content = "And of Spain?";
    return another;
  }());
  const auto second = ask(model_.call(1).request);
  model_.answer(1, {"Madrid"});
  first->wait();
  second->wait();
  const Stats stats = cache_.stats();
  EXPECT_EQ(stats.hits + stats.misses + stats.coalesced + stats.stores, 0U);
  EXPECT_EQ(stats.engine.hits, 1U);
  EXPECT_EQ(stats.engine.misses, 3U);
  EXPECT_EQ(stats.engine.coalesced, 1U);
  EXPECT_EQ(stats.engine.stores, 2U);
  EXPECT_EQ(stats.engine.tokens_saved, 12 + 11);
  EXPECT_EQ(done_of(complete(question())).report.cache->status, CacheStatus::kHit)
      << "who asks is no part of the key";
  EXPECT_EQ(cache_.stats().hits, 1U);
}

TEST_F(CachedCompleterTest, WhatTheKeyHoldsOfKnowledgeIsSettledBeforeItIsMade) {
  std::string version = "1";
  CachedCompleter taught(
      model_, cache_, clock_,
      {.model = "scripted", .versions = {}, .price = {}, .settle_knowledge = [&](llm::Request& r) {
         r.knowledge = {"acme@" + version};
       }});
  const auto ask_taught = [&] {
    const auto sink = std::make_shared<llm::CollectingSink>();
    taught.start(question(), sink, {});
    return sink;
  };
  ask_taught();
  EXPECT_EQ(model_.call(0).request.knowledge, std::vector<std::string>{"acme@1"})
      << "who recalls is told the same";
  model_.answer(0, {"x"});
  EXPECT_EQ(done_of(ask_taught()->wait()).report.cache->status, CacheStatus::kHit);
  version = "2";
  ask_taught();
  EXPECT_EQ(model_.calls(), 2);
  model_.answer(1, {"y"});
}

TEST_F(CachedCompleterTest, ABypassPassesTheCancelOn) {
  llm::Request request = question();
  request.cache.mode = CacheMode::kOff;
  const base::CancelToken cancel;
  const auto sink = std::make_shared<llm::CollectingSink>();
  cached_.start(llm::Request(request), sink, cancel);
  cancel.cancel();
  EXPECT_TRUE(model_.call(0).cancel.cancelled());
  model_.fail(0, base::Code::kCancelled, "stopped");
  EXPECT_EQ(failure_of(sink->wait()).code, base::Code::kCancelled);
}

}  // namespace
}  // namespace pmt::response_cache
