#include "api/observe/completion_metrics.h"

namespace pmt::api {
namespace {

using prometheus::ClientMetric;
using prometheus::Histogram;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Bounds = Histogram::BucketBoundaries;

const Bounds kFirstToken = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5,
                            0.75,  1,     2.5,  5,    7.5,  10,   20,   40,  80,   160};
const Bounds kPerToken = {0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15,
                          0.2,    0.3,   0.4,  0.5,   0.75, 1,     2.5, 5};
const Bounds kLatency = {0.01, 0.05, 0.1, 0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,
                         10,   15,   20,  30,  40,  50,  60, 120, 240, 480};
const Bounds kQueue = {0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 120, 240};
const Bounds kTokens = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};

/// The audit's names.
constexpr std::array<const char*, kCountedCaches> kCaches = {"response cache", "knowledge cache",
                                                             "inference KV compression",
                                                             "prompt-lookup speculation", "prefix reuse"};

/// A family whose samples have a model, a tenant and a key, and what else they are told by.
class CallerFamily {
 public:
  CallerFamily(const char* name, const char* help) : family_{name, help, MetricType::Counter, {}} {}
  template <class T>
  void add(T value, std::vector<ClientMetric::Label> labels) {
    if (value == T{}) return;
    ClientMetric& metric = family_.metric.emplace_back();
    metric.label = std::move(labels);
    metric.counter.value = static_cast<double>(value);
  }
  void give_to(std::vector<MetricFamily>& out) {
    if (!family_.metric.empty()) out.push_back(std::move(family_));
  }

 private:
  MetricFamily family_;
};

constexpr const char* kReasons[] = {"stop", "length", "tool_calls", "other"};

}  // namespace

struct CompletionMetrics::OfModel {
  struct Series {
    const char* name;
    const char* help;
    Histogram histogram;
  };
  Series first_token{"vllm:time_to_first_token_seconds",
                     "From a request's arrival to its first text, where a model computed it",
                     Histogram(kFirstToken)};
  Series per_token{"vllm:request_time_per_output_token_seconds",
                   "Between first and last text, a token after the first", Histogram(kPerToken)};
  Series latency{"vllm:e2e_request_latency_seconds",
                 "From a request's arrival to its answer's end, where a model computed it",
                 Histogram(kLatency)};
  Series queue{"vllm:request_queue_time_seconds", "Waiting for admission", Histogram(kQueue)};
  Series prefill{"vllm:request_prefill_time_seconds", "Reading the prompt", Histogram(kLatency)};
  Series decode{"vllm:request_decode_time_seconds", "Writing the answer", Histogram(kLatency)};
  Series prompt_tokens{"vllm:request_prompt_tokens", "Tokens of a prompt", Histogram(kTokens)};
  Series answer_tokens{"vllm:request_generation_tokens", "Tokens of an answer", Histogram(kTokens)};
  std::array<std::atomic<std::uint64_t>, 4> by_reason{};

  std::array<Series*, 8> all() {
    return {&first_token, &per_token, &latency, &queue, &prefill, &decode, &prompt_tokens, &answer_tokens};
  }
};

CompletionMetrics::CompletionMetrics(const std::vector<std::string>& models) {
  for (const std::string& model : models) models_.emplace(model, std::make_unique<OfModel>());
  models_.try_emplace("other", std::make_unique<OfModel>());
}
CompletionMetrics::~CompletionMetrics() = default;

void CompletionMetrics::observe(const RequestRecord& record) {
  if (!record.completion) return;
  const CompletionFacts& facts = *record.completion;
  const auto found = models_.find(facts.model);
  OfModel& model = found == models_.end() ? *models_.at("other") : *found->second;
  callers_.change({.model = found == models_.end() ? base::kOtherName : facts.model,
                   .tenant = record.tenant,
                   .key = record.key},
                  [&facts](OfCaller& caller) { count(facts, caller); });
  if (!facts.computed()) return;
  for (const std::string& reason : facts.finish_reasons) {
    std::size_t at = 0;
    while (at < 3 && reason != kReasons[at]) ++at;
    model.by_reason[at].fetch_add(1, std::memory_order_relaxed);
  }
  if (facts.first_text.count() > 0) {
    model.first_token.histogram.Observe(base::ms_between(record.begun, facts.first_text) / 1000);
    if (facts.usage.completion_tokens > 1 && facts.finish_reasons.size() == 1) {
      model.per_token.histogram.Observe(base::ms_between(facts.first_text, facts.last_text) / 1000 /
                                        static_cast<double>(facts.usage.completion_tokens - 1));
    }
  }
  model.latency.histogram.Observe(record.seconds());
  model.prompt_tokens.histogram.Observe(static_cast<double>(facts.usage.prompt_tokens));
  model.answer_tokens.histogram.Observe(static_cast<double>(facts.usage.completion_tokens));
  if (const auto& timing = facts.report.timing) {
    model.queue.histogram.Observe(timing->queue_ms / 1000);
    model.prefill.histogram.Observe(timing->prefill_ms / 1000);
    model.decode.histogram.Observe(timing->decode_ms / 1000);
  }
}

void CompletionMetrics::count(const CompletionFacts& facts, OfCaller& caller) {
  if (!facts.completed) {
    ++caller.failed;
    return;
  }
  const auto status = static_cast<std::size_t>(facts.cache_status());
  const llm::Report& report = facts.report;
  const auto used = [&caller](int cache, std::int64_t tokens) {
    if (tokens <= 0) return;
    ++caller.caches[static_cast<std::size_t>(cache)].answers;
    caller.caches[static_cast<std::size_t>(cache)].tokens += tokens;
  };
  ++caller.answers[status];
  if (report.cache) caller.usd_saved += report.cache->usd_saved;
  if (!facts.computed()) {
    caller.tokens[status] += report.cache->tokens_saved;
    return used(0, report.cache->tokens_saved);
  }
  caller.tokens[status] += facts.usage.prompt_tokens + facts.usage.completion_tokens;
  if (report.knowledge) used(1, report.knowledge->slots_read);
  if (report.kv) {
    used(2, report.kv->tokens_total - report.kv->tokens_kept);
    used(4, report.kv->prefix_tokens_reused);
  }
  if (report.speculation) used(3, report.speculation->accepted);
}

void CompletionMetrics::collect_callers(std::vector<MetricFamily>& out) const {
  CallerFamily answers("permutation_completions_total",
                       "Completions answered, by what the response cache did");
  CallerFamily tokens("permutation_completion_tokens_total",
                      "Their tokens, prompts and answers, by the same");
  CallerFamily failed("permutation_completions_failed_total",
                      "Completions that ended in an error or were left by their client");
  CallerFamily saved("permutation_completions_usd_saved_total",
                     "Dollars that the answers of the response cache did not cost again");
  CallerFamily cache_answers("permutation_cache_answers_total",
                             "Completions that a cache had a part in, by cache");
  CallerFamily cache_tokens("permutation_cache_tokens_total",
                            "Tokens that a cache gave, reused, evicted or had accepted, by cache");
  for (const auto& [who, caller] : callers_.all()) {
    const auto labels = [&who = who](const char* name = nullptr, const char* value = nullptr) {
      std::vector<ClientMetric::Label> all{{"model", who.model}, {"tenant", who.tenant}, {"key", who.key}};
      if (name != nullptr) all.push_back({name, value});
      return all;
    };
    for (std::size_t i = 0; i < kCacheStatuses; ++i) {
      const char* const status = llm::to_string(static_cast<llm::CacheStatus>(i));
      answers.add(caller.answers[i], labels("cache", status));
      tokens.add(caller.tokens[i], labels("cache", status));
    }
    for (std::size_t i = 0; i < kCaches.size(); ++i) {
      cache_answers.add(caller.caches[i].answers, labels("cache", kCaches[i]));
      cache_tokens.add(caller.caches[i].tokens, labels("cache", kCaches[i]));
    }
    failed.add(caller.failed, labels());
    saved.add(caller.usd_saved, labels());
  }
  for (CallerFamily* family : {&answers, &tokens, &failed, &saved, &cache_answers, &cache_tokens})
    family->give_to(out);
}

nlohmann::json CompletionMetrics::callers() const {
  nlohmann::json out = nlohmann::json::array();
  for (const auto& [who, caller] : callers_.all()) {
    nlohmann::json answers;
    for (std::size_t i = 0; i < kCacheStatuses; ++i)
      answers[llm::to_string(static_cast<llm::CacheStatus>(i))] = caller.answers[i];
    out.push_back({{"model", who.model},
                   {"tenant", who.tenant},
                   {"key", who.key},
                   {"answers", std::move(answers)},
                   {"failed", caller.failed},
                   {"tokens_saved", caller.caches[0].tokens},
                   {"usd_saved", caller.usd_saved}});
  }
  return out;
}

std::vector<MetricFamily> CompletionMetrics::collect() const {
  std::vector<MetricFamily> families;
  for (std::size_t i = 0; i < 8; ++i) {
    MetricFamily family{"", "", MetricType::Histogram, {}};
    for (const auto& [name, model] : models_) {
      OfModel::Series& series = *model->all()[i];
      family.name = series.name;
      family.help = series.help;
      ClientMetric metric;
      metric.label = {{"model_name", name}};
      metric.histogram = series.histogram.Collect().histogram;
      if (metric.histogram.sample_count > 0) family.metric.push_back(std::move(metric));
    }
    if (!family.metric.empty()) families.push_back(std::move(family));
  }
  MetricFamily success{"vllm:request_success_total", "Choices completed by a model", MetricType::Counter, {}};
  for (const auto& [name, model] : models_) {
    for (std::size_t i = 0; i < 4; ++i) {
      if (model->by_reason[i] == 0) continue;
      ClientMetric& metric = success.metric.emplace_back();
      metric.label = {{"model_name", name}, {"finished_reason", kReasons[i]}};
      metric.counter.value = static_cast<double>(model->by_reason[i]);
    }
  }
  if (!success.metric.empty()) families.push_back(std::move(success));
  collect_callers(families);
  return families;
}

void TenantTallies::observe(const RequestRecord& record) {
  if (!record.completion) return;
  const CompletionFacts& facts = *record.completion;
  const std::lock_guard lock(mutex_);
  Tally& tally = tallies_[record.tenant];
  if (!facts.completed) {
    ++tally.failed;
    return;
  }
  const llm::CacheStatus status = facts.cache_status();
  ++tally.by_status[static_cast<std::size_t>(status)];
  if (status != llm::CacheStatus::kBypass && facts.reads_cache) ++tally.lookups;
  if (const auto& cache = facts.report.cache) {
    tally.tokens_saved += cache->tokens_saved;
    tally.usd_saved += cache->usd_saved;
    tally.seconds_saved += cache->seconds_saved;
  }
  if (!facts.computed()) return;
  tally.tokens_computed += facts.usage.prompt_tokens + facts.usage.completion_tokens;
  if (facts.asked_upstream()) ++tally.asked_upstream;
  if (facts.first_text.count() > 0) tally.first_token.add(base::ms_between(record.begun, facts.first_text));
}

TenantTallies::Tally& TenantTallies::Tally::operator+=(const Tally& other) {
  for (std::size_t i = 0; i < by_status.size(); ++i) by_status[i] += other.by_status[i];
  lookups += other.lookups;
  tokens_saved += other.tokens_saved;
  tokens_computed += other.tokens_computed;
  usd_saved += other.usd_saved;
  seconds_saved += other.seconds_saved;
  asked_upstream += other.asked_upstream;
  failed += other.failed;
  first_token += other.first_token;
  return *this;
}

double TenantTallies::Tally::hit_rate() const {
  std::uint64_t hits = 0;
  for (const auto status : {llm::CacheStatus::kHit, llm::CacheStatus::kSemanticHit, llm::CacheStatus::kStale})
    hits += by_status[static_cast<std::size_t>(status)];
  return lookups == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(lookups);
}

double TenantTallies::Tally::token_hit_rate() const {
  const auto all = static_cast<double>(tokens_saved + tokens_computed);
  return all == 0 ? 0 : static_cast<double>(tokens_saved) / all;
}

TenantTallies::Tally TenantTallies::all() const {
  const std::lock_guard lock(mutex_);
  Tally sum;
  for (const auto& [tenant, tally] : tallies_) sum += tally;
  return sum;
}

TenantTallies::Tally TenantTallies::of(const std::string& tenant) const {
  const std::lock_guard lock(mutex_);
  const auto found = tallies_.find(tenant);
  return found == tallies_.end() ? Tally{} : found->second;
}

}  // namespace pmt::api
