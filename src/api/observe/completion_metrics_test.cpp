#include "api/observe/completion_metrics.h"

#include <map>

#include <gtest/gtest.h>

namespace pmt::api {
namespace {

RequestRecord answered(const char* model, const char* key, llm::CacheReport cache) {
  RequestRecord record;
  record.tenant = "team";
  record.key = key;
  CompletionFacts& facts = record.completion.emplace();
  facts.model = model;
  facts.completed = true;
  facts.usage = {.prompt_tokens = 80, .completion_tokens = 20};
  facts.report.cache = std::move(cache);
  return record;
}
llm::CacheReport cached(llm::CacheStatus status, std::int64_t tokens = 0, double usd = 0) {
  llm::CacheReport report;
  report.status = status;
  report.tokens_saved = tokens;
  report.usd_saved = usd;
  return report;
}

/// Samples as "name label=value,...": the labels in their order.
std::map<std::string, double> counters(const CompletionMetrics& metrics) {
  std::map<std::string, double> out;
  for (const auto& family : metrics.collect()) {
    if (family.type != prometheus::MetricType::Counter) continue;
    for (const auto& metric : family.metric) {
      std::string name = family.name;
      for (const auto& label : metric.label) name += " " + label.value;
      EXPECT_TRUE(out.emplace(name, metric.counter.value).second) << name << " is there twice";
    }
  }
  return out;
}

TEST(CompletionMetrics, CachesAreCountedByModelTenantAndKey) {
  CompletionMetrics metrics({"m"});
  RequestRecord computed = answered("m", "ann", cached(llm::CacheStatus::kMiss));
  computed.completion->report.kv =
      llm::KvReport{.tokens_kept = 30, .tokens_total = 80, .prefix_tokens_reused = 64};
  computed.completion->report.speculation = llm::SpeculationReport{.drafted = 9, .accepted = 5};
  computed.completion->report.knowledge = llm::KnowledgeReport{.domains = {}, .slots_read = 3, .facts = {}};
  metrics.observe(computed);
  metrics.observe(answered("m", "ann", cached(llm::CacheStatus::kHit, 100, 0.5)));
  metrics.observe(answered("m", "bob", cached(llm::CacheStatus::kCoalesced, 100, 0.25)));
  metrics.observe(answered("asked for and not there", "bob", cached(llm::CacheStatus::kBypass)));
  const auto found = counters(metrics);
  const auto at = [&found](const std::string& name) { return found.contains(name) ? found.at(name) : -1; };
  EXPECT_EQ(at("permutation_completions_total m team ann miss"), 1);
  EXPECT_EQ(at("permutation_completions_total m team ann hit"), 1);
  EXPECT_EQ(at("permutation_completions_total m team bob coalesced"), 1);
  EXPECT_EQ(at("permutation_completions_total other team bob bypass"), 1);
  EXPECT_EQ(at("permutation_completion_tokens_total m team ann miss"), 100);
  EXPECT_EQ(at("permutation_completion_tokens_total m team ann hit"), 100);
  EXPECT_EQ(at("permutation_completions_usd_saved_total m team ann"), 0.5);
  EXPECT_EQ(at("permutation_cache_answers_total m team ann response cache"), 1);
  EXPECT_EQ(at("permutation_cache_answers_total m team bob response cache"), 1);
  EXPECT_EQ(at("permutation_cache_tokens_total m team ann inference KV compression"), 50);
  EXPECT_EQ(at("permutation_cache_tokens_total m team ann prefix reuse"), 64);
  EXPECT_EQ(at("permutation_cache_tokens_total m team ann prompt-lookup speculation"), 5);
  EXPECT_EQ(at("permutation_cache_tokens_total m team ann knowledge cache"), 3);
  EXPECT_EQ(at("permutation_cache_answers_total m team bob prefix reuse"), -1) << "none of it";
}

TEST(CompletionMetrics, OneThatFailedHasItsCallerToo) {
  CompletionMetrics metrics({"m"});
  RequestRecord failed = answered("m", "ann", {});
  failed.completion->completed = false;
  metrics.observe(failed);
  EXPECT_EQ(counters(metrics).at("permutation_completions_failed_total m team ann"), 1);
}

TEST(TenantTallies, RatesByAnswersAndByTokens) {
  TenantTallies tallies;
  tallies.observe(answered("m", "ann", cached(llm::CacheStatus::kMiss)));
  tallies.observe(answered("m", "ann", cached(llm::CacheStatus::kHit, 300, 0.5)));
  EXPECT_DOUBLE_EQ(tallies.of("team").hit_rate(), 0.5);
  EXPECT_DOUBLE_EQ(tallies.of("team").token_hit_rate(), 0.75);
  RequestRecord refreshed = answered("m", "bob", cached(llm::CacheStatus::kMiss));
  refreshed.completion->reads_cache = false;
  refreshed.tenant = "others";
  tallies.observe(refreshed);
  EXPECT_DOUBLE_EQ(tallies.of("others").hit_rate(), 0);
  refreshed.completion->report.cache = cached(llm::CacheStatus::kBypass);
  tallies.observe(refreshed);
  for (const auto status : {llm::CacheStatus::kHit, llm::CacheStatus::kStale, llm::CacheStatus::kSemanticHit,
                            llm::CacheStatus::kCoalesced}) {
    RequestRecord one = answered("m", "bob", cached(status, 100));
    one.tenant = "others";
    tallies.observe(one);
  }
  EXPECT_DOUBLE_EQ(tallies.of("others").hit_rate(), 0.75) << "what wasn't looked up is no part of it";
  EXPECT_DOUBLE_EQ(tallies.all().token_hit_rate(), 700.0 / 1000);
  EXPECT_DOUBLE_EQ(tallies.of("nobody").hit_rate(), 0);
  EXPECT_DOUBLE_EQ(tallies.of("nobody").token_hit_rate(), 0);
}

TEST(TenantTallies, WhatTheHistoryTakes) {
  TenantTallies tallies;
  RequestRecord here = answered("m", "ann", cached(llm::CacheStatus::kMiss));
  here.begun = std::chrono::milliseconds(5);
  here.completion->first_text = std::chrono::milliseconds(45);
  here.completion->report.calls = {{.part = "student", .model = "m", .local = true, .computations = 1},
                                   {.part = "teacher", .model = "t/m", .local = false, .computations = 0}};
  tallies.observe(here);  // its teacher's answer was cached: no other server was asked
  RequestRecord by_call = here, by_report = answered("t/m", "ann", cached(llm::CacheStatus::kBypass));
  by_call.completion->report.calls[1].computations = 1;
  by_report.completion->report.upstream = {{"provider", "t"}};
  tallies.observe(by_call);
  tallies.observe(by_report);
  RequestRecord hit = by_report;
  hit.completion->report.cache = cached(llm::CacheStatus::kHit, 100);
  hit.completion->report.cache->seconds_saved = 1.5;
  tallies.observe(hit);
  RequestRecord failed = by_report;
  failed.completion->completed = false;
  tallies.observe(failed);
  const TenantTallies::Tally all = tallies.all();
  EXPECT_EQ(all.asked_upstream, 2U) << "not the hit, nor what failed";
  EXPECT_EQ(all.failed, 1U);
  EXPECT_EQ(all.seconds_saved, 1.5);
  EXPECT_EQ(all.first_token.samples(), 2U);
  EXPECT_NEAR(*all.first_token.quantile(0.5), 40, 6);
}

}  // namespace
}  // namespace pmt::api
