#include "api/observe/metrics_route.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>

#include <prometheus/text_serializer.h>

#include "base/guard.h"
#include "base/version.h"
#include "response_cache/shared/shared_store.h"
#include "telemetry/json_log.h"
#include "telemetry/process_stats.h"

namespace pmt::api {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

/// Families by name, so that samples of one name with several labels come out together, as the format wants.
class Families {
 public:
  void counter(const std::string& name, const char* help, double value, Labels labels = {}) {
    add(name, help, MetricType::Counter, std::move(labels)).counter.value = value;
  }
  /// Adds PREFIX_NAME_total.
  auto counters(std::string prefix, Labels labels = {}) {
    return [this, prefix = std::move(prefix), labels = std::move(labels)](const char* name, const char* help,
                                                                          std::uint64_t value) {
      counter(prefix + name + "_total", help, static_cast<double>(value), labels);
    };
  }
  void gauge(const std::string& name, const char* help, double value, Labels labels = {}) {
    add(name, help, MetricType::Gauge, std::move(labels)).gauge.value = value;
  }
  std::vector<MetricFamily> take() && { return std::move(families_); }

 private:
  ClientMetric& add(const std::string& name, const char* help, MetricType type, Labels labels) {
    auto at = std::find_if(families_.begin(), families_.end(), [&](const auto& f) { return f.name == name; });
    if (at == families_.end()) at = families_.insert(at, MetricFamily{name, help, type, {}});
    ClientMetric& metric = at->metric.emplace_back();
    metric.label = std::move(labels);
    return metric;
  }
  std::vector<MetricFamily> families_;
};

constexpr const char* kResponseCache = "permutation_response_cache_";
constexpr const char* kSharedTier = "permutation_response_cache_shared_";
constexpr const char* kSemanticCache = "permutation_semantic_cache_";

Labels owner_labels(const base::User& owner) {
  return {{"model", owner.model}, {"tenant", owner.tenant}};
}

/// Nobody's are there from the start, so that there is a sample before the first request.
template <class Tallies>
Tallies with_nobody(Tallies tallies) {
  tallies.try_emplace(base::User());
  return tallies;
}

/// What engines asked the cache on the way to their answers.
void add_engine_calls_of(Families& out, const Labels& labels, const response_cache::LookupCounts& counts) {
  const std::string prefix = std::string(kResponseCache) + "engine_";
  const auto count = out.counters(prefix, labels);
  count("hits", "Lookups of engines' own calls that an entry answered", counts.hits);
  count("misses", "Lookups of engines' own calls that no entry answered", counts.misses);
  count("coalesced", "Of these misses, those that shared another's running computation", counts.coalesced);
  count("stores", "Answers to engines' own calls that were stored", counts.stores);
  count("tokens_saved", "Tokens that engines' own calls did not compute again",
        static_cast<std::uint64_t>(counts.tokens_saved));
  out.counter(prefix + "usd_saved_total", "Dollars that engines' own calls did not spend again",
              counts.usd_saved, labels);
}

/// Of one model and tenant; all of these together are what GET /v1/cache shows.
void add_cache_of(Families& out, const base::User& owner, const response_cache::Stats& stats) {
  const std::string prefix = kResponseCache;
  const Labels labels = owner_labels(owner);
  const auto count = out.counters(prefix, labels);
  count("hits", "Clients' lookups that an entry answered", stats.hits);
  count("stale", "Of the hits, those that were given while they were computed anew", stats.stale);
  count("semantic", "Of the hits, those with another question's answer", stats.semantic);
  count("misses", "Clients' lookups that no entry answered", stats.misses);
  count("coalesced", "Of the misses, those that shared another's running computation", stats.coalesced);
  count("stores", "Entries stored: computed for clients, put or imported", stats.stores);
  count("refused", "Values that were not kept", stats.refused);
  count("evictions", "Entries that left the memory for room", stats.evictions);
  count("expired", "Entries that a lookup met after their life", stats.expired);
  count("purged", "Entries dropped on request", stats.purged);
  count("false_hits", "Answers that somebody flagged as another question's", stats.flagged);
  count("tokens_saved", "Tokens that hits and coalesced answers did not compute again",
        static_cast<std::uint64_t>(stats.tokens_saved));
  out.counter(prefix + "usd_saved_total", "Dollars that they did not spend again", stats.usd_saved, labels);
  add_engine_calls_of(out, labels, stats.engine);
}

void add_cache(Families& out, const response_cache::ResponseCache& cache) {
  for (const auto& [owner, stats] : cache.stats_by_owner()) add_cache_of(out, owner, stats);
  const std::string prefix = kResponseCache;
  const auto gauge = [&](const char* name, const char* help, std::uint64_t value) {
    out.gauge(prefix + name, help, static_cast<double>(value));
  };
  const response_cache::Tiers::Kept kept = cache.tiers().kept();
  const response_cache::Stats held = cache.stats();
  gauge("entries", "Entries that this server keeps, in memory or on disk", kept.entries);
  gauge("bytes", "Their bytes: on the disk where there is one, else in memory", kept.bytes);
  gauge("ram_entries", "Entries in memory", held.entries);
  gauge("ram_bytes", "Bytes in memory", held.bytes);
}

void add_semantic_of(Families& out, const base::User& owner, const response_cache::SemanticCounts& counts) {
  const auto count = out.counters(kSemanticCache, owner_labels(owner));
  count("lookups", "Exact misses that asked the semantic tier", counts.lookups);
  count("shadow_hits", "Of those, that would have been, in shadow mode", counts.shadow_hits);
  count("shadow_wrong", "Shadow hits whose answers then differed", counts.shadow_wrong);
  count("explored", "Of those, that could have been, and were computed to learn", counts.explored);
  count("agreed", "Computed answers that agreed with the nearest question's", counts.agreed);
  count("disagreed", "Computed answers that differed from it", counts.disagreed);
  const auto gauge = [&](const char* name, const char* help, std::uint64_t value) {
    out.gauge(std::string(kSemanticCache) + name, help, static_cast<double>(value), owner_labels(owner));
  };
  gauge("compared", "Pairs that could be served and whose answers were compared or judged", counts.compared);
  gauge("wrong", "Of those, whose answers differ", counts.wrong);
  gauge("judged_same", "Pairs whose answers somebody called the same", counts.judged_same);
  gauge("judged_different", "Pairs whose answers somebody called different", counts.judged_different);
}

void add_semantic(Families& out, const response_cache::SemanticTier& semantic,
                  const response_cache::ResponseCache& cache) {
  for (const auto& [owner, stats] : cache.stats_by_owner())
    out.counters(kSemanticCache, owner_labels(owner))(
        "hits", "Lookups answered with another question's entry", stats.semantic + stats.engine.semantic);
  for (const auto& [owner, counts] : with_nobody(semantic.stats_by_owner()))
    add_semantic_of(out, owner, counts);
  out.gauge(std::string(kSemanticCache) + "entries", "Questions in the index",
            static_cast<double>(semantic.stats().entries));
}

void add_shared_of(Families& out, const base::User& owner, const response_cache::SharedCounts& counts) {
  const auto count = out.counters(kSharedTier, owner_labels(owner));
  count("hits", "Lookups that the shared tier answered", counts.hits);
  count("misses", "Lookups that it had nothing for", counts.misses);
  count("stores", "Values stored there", counts.stores);
  count("waited", "Answers that another server was computing, and that were waited for", counts.waited);
  count("wait_limits", "Waits for another server that ended with computing here", counts.wait_limits);
}

void add_shared(Families& out, const response_cache::SharedStore& shared) {
  for (const auto& [owner, counts] : with_nobody(shared.stats_by_owner())) add_shared_of(out, owner, counts);
  const response_cache::SharedStats stats = shared.stats();
  const std::string prefix = kSharedTier;
  const auto count = out.counters(prefix);
  count("leases", "Rights to compute that were taken", stats.leases);
  count("leases_taken_over", "Of those, after another server had it and did not answer", stats.taken_over);
  count("void", "Values there that an invalidation had made void", stats.voided);
  count("corrupt", "Values there that failed their checks", stats.corrupt);
  count("skipped", "Lookups and stores left out while it was down or too busy", stats.skipped);
  count("failures", "Times it went down", stats.failures);
  count("invalidations_sent", "Invalidations that this server told the others", stats.sent);
  count("invalidations_received", "Invalidations that others told this server", stats.received);
  count("swept", "Void values whose memory this server freed there", stats.swept);
  out.gauge(prefix + "up", "1 while the shared tier is in use", stats.up ? 1 : 0);
  out.gauge(prefix + "servers", "Servers that share and are alive, this one included",
            static_cast<double>(stats.servers));
  out.gauge(prefix + "invalidations_pending", "Invalidations to be told when it is back",
            static_cast<double>(stats.pending));
}

/// What models computed for whom, and what the providers' prompt caches did, as the meter counted it. Beside
/// them that cache under the names of the others (completion_metrics.h).
void add_meter(Families& out, const llm::Meter& meter) {
  const auto real = [](auto count) { return static_cast<double>(count); };
  const char* const own = "provider prompt cache";
  for (const auto& [who, tally] : meter.tallies()) {
    const auto labels = [&who = who](const char* name = nullptr, const char* value = nullptr) {
      Labels all{{"model", who.model}, {"tenant", who.tenant}, {"key", who.key}};
      if (name != nullptr) all.push_back({name, value});
      return all;
    };
    out.counter("permutation_spent_usd_total", "Dollars that computed answers cost, by the configured prices",
                tally.usd, labels());
    out.counter("permutation_model_answers_total", "Answers that models computed", real(tally.answers),
                labels());
    out.counter("permutation_model_prompt_tokens_total", "Tokens of these answers' prompts",
                real(tally.prompt_tokens), labels());
    out.counter("permutation_model_answer_tokens_total", "Tokens of these answers",
                real(tally.completion_tokens), labels());
    if (!tally.upstream) continue;
    const char* const answers = "permutation_provider_answers_total";
    const char* const answers_help = "Answers of upstreams, by whether the provider's prompt cache was read";
    out.counter(answers, answers_help, real(tally.hits), labels("cache", "hit"));
    out.counter(answers, answers_help, real(tally.reported - tally.hits), labels("cache", "miss"));
    out.counter(answers, answers_help, real(tally.answers - tally.reported), labels("cache", "unreported"));
    const char* const tokens = "permutation_provider_prompt_tokens_total";
    const char* const tokens_help = "Prompt tokens of upstreams, by what the provider's prompt cache did";
    const std::int64_t unreported = tally.prompt_tokens - tally.read - tally.written - tally.missed;
    out.counter(tokens, tokens_help, real(tally.read), labels("cache", "read"));
    out.counter(tokens, tokens_help, real(tally.written), labels("cache", "written"));
    out.counter(tokens, tokens_help, real(tally.missed), labels("cache", "missed"));
    out.counter(tokens, tokens_help, real(unreported), labels("cache", "unreported"));
    // A gauge, since writing may cost more than was read.
    out.gauge("permutation_provider_usd_saved", "Dollars that the provider's prompt cache took off, net",
              tally.prompt_cache_saved_usd, labels());
    out.counter("permutation_cache_answers_total", "Completions that a cache had a part in, by cache",
                real(tally.hits), labels("cache", own));
    out.counter("permutation_cache_tokens_total",
                "Tokens that a cache gave, reused, evicted or had accepted, by cache", real(tally.read),
                labels("cache", own));
  }
}

void add_budgets(Families& out, const std::vector<Access::Budget>& budgets) {
  for (const Access::Budget& budget : budgets) {
    const Labels labels{{"key", budget.key}, {"tenant", budget.tenant}};
    out.gauge("permutation_key_budget_usd", "Dollars that a key may spend in a day (UTC)", budget.usd_per_day,
              labels);
    out.gauge("permutation_key_spent_usd", "Dollars that it has spent today", budget.spent_usd, labels);
    out.counter("permutation_key_budget_refused_total", "Requests refused because it had spent them",
                static_cast<double>(budget.refusals), labels);
  }
}

/// What one user used of one cache; the audit's cells are the sums.
void add_uses(Families& out, const std::string& cache, const base::User& who,
              const base::UsageCounter::Cells& cells) {
  const bool is_nobody = who == base::User();  // always there, from 0
  for (int i = 0; i < base::kSurfaces; ++i) {
    const base::UsageCounter::Cell& cell = cells[static_cast<std::size_t>(i)];
    if (cell.count == 0 && !is_nobody) continue;
    const Labels labels{{"cache", cache},
                        {"surface", base::to_string(static_cast<base::Surface>(i))},
                        {"model", who.model},
                        {"tenant", who.tenant},
                        {"key", who.key}};
    out.counter("permutation_cache_uses_total", "Uses of each cache by surface, as the audit counts them",
                static_cast<double>(cell.count), labels);
    out.counter("permutation_cache_use_tokens_total",
                "Tokens that these gave, reused, evicted or had accepted; none of the knowledge cache",
                static_cast<double>(cell.tokens), labels);
  }
}

void add_audit(Families& out, const audit::Audit& audit) {
  for (const audit::RowResult& row : audit.rows) {
    if (!row.users.contains(base::UserView())) add_uses(out, row.name, {}, {});
    for (const auto& [who, cells] : row.users) add_uses(out, row.name, who, cells);
    out.gauge("permutation_cache_production_ready", "1 if the audit finds the cache production ready",
              row.production_ready ? 1 : 0, {{"cache", row.name}});
  }
}

void add_engines(Families& out, const std::vector<EngineSample>& samples) {
  for (const EngineSample& sample : samples) {
    for (const auto& [name, value] : sample.counters) {
      out.counter("permutation_engine_" + name + "_total", "Local engine", value, {{"model", sample.model}});
    }
    for (const auto& [name, value] : sample.gauges) {
      out.gauge("permutation_engine_" + name, "Local engine", value, {{"model", sample.model}});
    }
  }
}

void add_sample(Families& out, const std::string& prefix, const char* help, const EngineSample& sample) {
  for (const auto& [name, value] : sample.counters) out.counter(prefix + name + "_total", help, value);
  for (const auto& [name, value] : sample.gauges) out.gauge(prefix + name, help, value);
}

void add_model_memory(Families& out, const ModelMemory& memory) {
  const auto real = [](std::int64_t bytes) { return static_cast<double>(bytes); };
  out.gauge("permutation_models_reserved_bytes",
            "Memory that loaded models may take: weights, page pools, working memory",
            real(memory.bytes_reserved));
  out.gauge("permutation_models_memory_bytes_max", "What they may take together", real(memory.bytes_max));
}

/// The servers behind one upstream's name.
void add_upstream_servers(Families& out, const std::vector<UpstreamServer>& servers) {
  const std::string prefix = "permutation_upstream_server_";
  for (const UpstreamServer& server : servers) {
    const Labels labels{{"upstream", server.upstream}, {"server", server.url}};
    out.counter(prefix + "requests_total", "Requests sent to it, each attempt",
                static_cast<double>(server.requests), labels);
    out.counter(prefix + "failed_total", "Of those, that failed in a way that another may not",
                static_cast<double>(server.failed), labels);
    out.counter(prefix + "probes_total", "Looks at it while it was down", static_cast<double>(server.probes),
                labels);
    out.gauge(prefix + "in_flight", "Requests that it has now", static_cast<double>(server.in_flight),
              labels);
    out.gauge(prefix + "up", "0 while it is left alone because it failed", server.down ? 0 : 1, labels);
    out.gauge(prefix + "draining", "1 while it gets no requests because it was taken out",
              server.draining ? 1 : 0, labels);
  }
}

/// The same under the names by which vLLM's dashboards and alerts know it.
void add_as_vllm(Families& out, const std::vector<EngineSample>& samples) {
  for (const EngineSample& sample : samples) {
    const Labels labels{{"model_name", sample.model}};
    const auto value_of = [](const auto& figures, std::string_view name) -> std::optional<double> {
      for (const auto& [own, value] : figures) {
        if (own == name) return value;
      }
      return std::nullopt;
    };
    const auto gauge = [&](const char* as, const char* help, std::string_view name) {
      if (const auto value = value_of(sample.gauges, name)) out.gauge(as, help, *value, labels);
    };
    const auto counter = [&](const char* as, const char* help, std::string_view name) {
      if (const auto value = value_of(sample.counters, name)) out.counter(as, help, *value, labels);
    };
    gauge("vllm:num_requests_running", "Requests in the running batch", "running");
    gauge("vllm:num_requests_waiting", "Requests waiting for admission", "waiting");
    counter("vllm:prompt_tokens_total", "Prompt tokens of admitted requests", "prompt_tokens");
    counter("vllm:generation_tokens_total", "Tokens generated", "completion_tokens");
    counter("vllm:spec_decode_num_draft_tokens_total", "Tokens drafted", "drafted_tokens");
    counter("vllm:spec_decode_num_accepted_tokens_total", "Drafted tokens accepted", "accepted_tokens");
    counter("vllm:prefix_cache_queries_total", "Prompt tokens that were looked for among the prefixes kept",
            "prefix_tokens_queried");
    counter("vllm:prefix_cache_hits_total", "Prompt tokens whose keys and values were there already",
            "prefix_tokens_reused");
    const auto used = value_of(sample.gauges, "kv_bytes"), most = value_of(sample.gauges, "kv_bytes_max");
    if (used && most && *most > 0)
      out.gauge("vllm:kv_cache_usage_perc", "Share of the page pool in use, 0 to 1", *used / *most, labels);
  }
}

/// Under the names that every Prometheus client library gives them, and malloc's view beside them: what RSS
/// holds beyond `allocated` is the allocator's, or the page pool's and the disk's maps.
void add_process(Families& out) {
  const telemetry::ProcessStats stats = telemetry::process_stats();
  out.counter("process_cpu_seconds_total", "CPU time of all threads", stats.cpu_seconds);
  const auto gauge = [&](const char* name, const char* help, std::uint64_t value) {
    out.gauge(name, help, static_cast<double>(value));
  };
  out.gauge("process_start_time_seconds", "When the process started, in Unix time", stats.start_unix_s);
  gauge("process_resident_memory_bytes", "Memory that is in RAM", stats.bytes_resident);
  gauge("process_virtual_memory_bytes", "Memory that has an address", stats.bytes_virtual);
  gauge("process_open_fds", "Open files and sockets", stats.open_files);
  gauge("process_max_fds", "How many may be open", stats.open_files_max);
  gauge("permutation_malloc_allocated_bytes", "Handed out by malloc and not yet freed",
        stats.bytes_allocated);
  gauge("permutation_malloc_free_bytes", "Freed, and kept by malloc for later", stats.bytes_allocator_free);
  out.counter("permutation_log_lines_lost_total", "Log lines that could not be written",
              static_cast<double>(telemetry::log_lines_lost()));
}

/// All of them, from 0: an alert on a rise needs the value before it.
void add_exceptions(Families& out) {
  for (std::size_t i = 0; i < base::kThreads; ++i) {
    const auto thread = static_cast<base::Thread>(i);
    out.counter("permutation_exceptions_total",
                "Exceptions that ended one request or job, by the thread that caught them",
                static_cast<double>(base::exceptions_caught(thread)), {{"thread", base::to_string(thread)}});
  }
}

/// What POST /v1/responses keeps.
void add_responses(Families& out, const ResponseStoreStats& stats) {
  out.gauge("permutation_stored_responses", "Responses kept", static_cast<double>(stats.responses));
  out.gauge("permutation_stored_response_bytes", "Their bytes", static_cast<double>(stats.bytes));
  out.counter("permutation_stored_responses_evicted_total", "Responses that went for room",
              static_cast<double>(stats.evicted));
  out.counter("permutation_stored_responses_expired_total", "Responses whose life was over",
              static_cast<double>(stats.expired));
}

/// Samples of one name come out together.
void add_family(std::vector<MetricFamily>& all, MetricFamily family) {
  const auto same =
      std::find_if(all.begin(), all.end(), [&](const auto& known) { return known.name == family.name; });
  if (same == all.end()) return all.push_back(std::move(family));
  std::move(family.metric.begin(), family.metric.end(), std::back_inserter(same->metric));
}

void show_metrics(const Router& router, const ApiOptions& options, const CompletionMetrics& completions,
                  const ResponseStore& responses, const Exchange& exchange) {
  Families families;
  families.gauge("permutation_info", "What this server was built from", 1,
                 {{"version", base::kVersion}, {"build", base::kBuildFlags}});
  add_process(families);
  add_exceptions(families);
  if (options.cache != nullptr) {
    add_cache(families, *options.cache);
    if (const auto* shared = options.cache->tiers().shared()) add_shared(families, *shared);
  }
  add_responses(families, responses.stats());
  if (options.semantic != nullptr && options.cache != nullptr)
    add_semantic(families, *options.semantic, *options.cache);
  if (options.meter != nullptr) add_meter(families, *options.meter);
  add_budgets(families, router.access().budgets());
  if (options.audit) add_audit(families, options.audit());
  if (options.engine_samples) {
    const std::vector<EngineSample> samples = options.engine_samples();
    add_engines(families, samples);
    add_as_vllm(families, samples);
  }
  if (options.prefix_files)
    add_sample(families, "permutation_prefix_files_", "Prefixes on the disk", options.prefix_files());
  if (options.rlm_sessions_sample)
    add_sample(families, "permutation_rlm_sessions_", "Sessions of rlm", options.rlm_sessions_sample());
  if (options.model_memory) add_model_memory(families, options.model_memory());
  if (options.upstream_servers) add_upstream_servers(families, options.upstream_servers());
  std::vector<MetricFamily> all = std::move(families).take();
  for (MetricFamily& family : completions.collect()) add_family(all, std::move(family));
  for (MetricFamily& family : router.collect()) {
    if (!family.metric.empty()) all.push_back(std::move(family));
  }
  const prometheus::TextSerializer serializer;
  exchange.responder->send(
      {200, {{"content-type", "text/plain; version=0.0.4; charset=utf-8"}}, serializer.Serialize(all)});
}

}  // namespace

void add_metrics_route(Router& router, const ApiOptions& options, const CompletionMetrics& completions,
                       const ResponseStore& responses) {
  router.add("GET", "/metrics", [&](const Exchange& exchange) {
    show_metrics(router, options, completions, responses, exchange);
  });
}

}  // namespace pmt::api
