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
  std::array<std::atomic<std::uint64_t>, kCacheStatuses> by_status{};
  std::atomic<std::uint64_t> failed{0};

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
  if (!facts.completed) {
    model.failed.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  model.by_status[static_cast<std::size_t>(facts.cache_status())].fetch_add(1, std::memory_order_relaxed);
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
  MetricFamily answers{"permutation_completions_total",
                       "Completions answered, by what the response cache did",
                       MetricType::Counter,
                       {}};
  MetricFamily failures{"permutation_completions_failed_total",
                        "Completions that ended in an error or were left by their client",
                        MetricType::Counter,
                        {}};
  const auto add = [](MetricFamily& family, std::uint64_t count, std::vector<ClientMetric::Label> labels) {
    if (count == 0) return;
    ClientMetric& metric = family.metric.emplace_back();
    metric.label = std::move(labels);
    metric.counter.value = static_cast<double>(count);
  };
  for (const auto& [name, model] : models_) {
    for (std::size_t i = 0; i < 4; ++i)
      add(success, model->by_reason[i], {{"model_name", name}, {"finished_reason", kReasons[i]}});
    for (std::size_t i = 0; i < kCacheStatuses; ++i)
      add(answers, model->by_status[i],
          {{"model", name}, {"cache", llm::to_string(static_cast<llm::CacheStatus>(i))}});
    add(failures, model->failed, {{"model", name}});
  }
  for (MetricFamily* family : {&success, &answers, &failures}) {
    if (!family->metric.empty()) families.push_back(std::move(*family));
  }
  return families;
}

void TenantTallies::observe(const RequestRecord& record) {
  if (!record.completion || !record.completion->completed) return;
  const std::lock_guard lock(mutex_);
  Tally& tally = tallies_[record.tenant];
  ++tally.by_status[static_cast<std::size_t>(record.completion->cache_status())];
  if (const auto& cache = record.completion->report.cache) {
    tally.tokens_saved += cache->tokens_saved;
    tally.usd_saved += cache->usd_saved;
  }
}

TenantTallies::Tally TenantTallies::of(const std::string& tenant) const {
  const std::lock_guard lock(mutex_);
  const auto found = tallies_.find(tenant);
  return found == tallies_.end() ? Tally{} : found->second;
}

}  // namespace pmt::api
