#include "api/observe/recent_requests.h"

#include <algorithm>
#include <cmath>

#include "api/json/render_parts.h"

namespace pmt::api {
namespace {

using nlohmann::json;

json quantiles(std::vector<double> values) {
  if (values.empty()) return nullptr;
  std::ranges::sort(values);
  const auto at = [&values](double share) {  // the nearest rank
    const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
    return values[std::max<std::size_t>(rank, 1) - 1];
  };
  return {{"p50", at(0.5)}, {"p95", at(0.95)}, {"p99", at(0.99)}};
}

json completion_json(const RequestRecord& record, const CompletionFacts& facts) {
  json out{{"model", facts.model},
           {"answered", facts.answered},
           {"streamed", facts.streamed},
           {"completed", facts.completed},
           {"prompt_tokens", facts.usage.prompt_tokens},
           {"completion_tokens", facts.usage.completion_tokens},
           {"finish_reasons", facts.finish_reasons}};
  if (facts.first_text.count() > 0) out["ttft_ms"] = base::ms_between(record.begun, facts.first_text);
  if (facts.completed) {
    const llm::Report& report = facts.report;
    if (report.cache)
      out["cache"] = {{"status", llm::to_string(report.cache->status)},
                      {"key", report.cache->key},
                      {"why", report.cache->why},
                      {"tokens_saved", report.cache->tokens_saved},
                      {"usd_saved", report.cache->usd_saved},
                      {"similarity", report.cache->similarity ? json(*report.cache->similarity) : json()}};
    if (report.kv)
      out["kv"] = {{"mode", report.kv->mode},
                   {"ratio", report.kv->ratio_achieved},
                   {"prefix_tokens_reused", report.kv->prefix_tokens_reused}};
    if (report.speculation)
      out["speculation"] = {{"drafted", report.speculation->drafted},
                            {"accepted", report.speculation->accepted}};
    if (report.timing)
      out["timing"] = {{"queue_ms", report.timing->queue_ms},
                       {"prefill_ms", report.timing->prefill_ms},
                       {"decode_ms", report.timing->decode_ms}};
    if (!report.engine.is_null()) out["engine"] = report.engine;
  }
  if (!facts.prompt.empty()) out["prompt"] = facts.prompt;
  if (!facts.answer.empty()) out["answer"] = facts.answer;
  return out;
}

}  // namespace

json record_json(const RequestRecord& record) {
  json out{{"id", record.id},         {"method", record.method},      {"route", record.route},
           {"key", record.key},       {"tenant", record.tenant},      {"time", record.begun_unix_s},
           {"status", record.status}, {"ms", record.seconds() * 1000}};
  if (!record.error.empty()) out["error"] = record.error;
  if (!record.trace.trace_id.empty()) out["trace_id"] = record.trace.trace_id;
  if (record.completion) out["completion"] = completion_json(record, *record.completion);
  return out;
}

void RecentRequests::add(std::shared_ptr<const RequestRecord> record) {
  const std::lock_guard lock(mutex_);
  records_.push_front(std::move(record));
  if (records_.size() > kKept) records_.pop_back();
}

std::vector<std::shared_ptr<const RequestRecord>> RecentRequests::latest() const {
  const std::lock_guard lock(mutex_);
  return {records_.begin(), records_.end()};
}

json RecentRequests::percentiles() const {
  std::vector<double> first, per_token, queue;
  for (const auto& record : latest()) {
    if (!record->completion || !record->completion->computed()) continue;
    const CompletionFacts& facts = *record->completion;
    if (facts.report.timing) queue.push_back(facts.report.timing->queue_ms);
    if (facts.first_text.count() == 0) continue;
    first.push_back(base::ms_between(record->begun, facts.first_text));
    if (facts.usage.completion_tokens > 1 && facts.finish_reasons.size() == 1)
      per_token.push_back(base::ms_between(facts.first_text, facts.last_text) /
                          static_cast<double>(facts.usage.completion_tokens - 1));
  }
  const std::size_t samples = first.size();
  return {{"ttft_ms", quantiles(std::move(first))},
          {"tpot_ms", quantiles(std::move(per_token))},
          {"queue_ms", quantiles(std::move(queue))},
          {"samples", samples}};
}

}  // namespace pmt::api
