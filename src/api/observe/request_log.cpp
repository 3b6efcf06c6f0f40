#include "api/observe/request_log.h"

#include <spdlog/spdlog.h>

#include "telemetry/json_log.h"

namespace pmt::api {
namespace {

nlohmann::json fields_of(const RequestRecord& record, bool slow) {
  nlohmann::json out{{"event", slow ? "slow_request" : "request"},
                     {"request_id", record.id},
                     {"method", record.method},
                     {"route", record.route},
                     {"status", record.status},
                     {"ms", static_cast<double>(static_cast<long>(record.seconds() * 1e5)) / 100}};
  const auto text = [&out](const char* name, const std::string& value) {
    if (!value.empty()) out[name] = value;
  };
  text("key", record.key);
  text("tenant", record.tenant);
  text("trace_id", record.trace.trace_id);
  if (!record.completion) return out;
  text("error", record.error);  // not of a refusal: that may quote the request
  const CompletionFacts& facts = *record.completion;
  out["model"] = facts.model;
  text("prompt", facts.prompt);
  text("answer", facts.answer);
  if (!facts.completed) return out;
  out["cache"] = llm::to_string(facts.cache_status());
  out["prompt_tokens"] = facts.usage.prompt_tokens;
  out["completion_tokens"] = facts.usage.completion_tokens;
  if (facts.first_text.count() > 0) out["ttft_ms"] = base::ms_between(record.begun, facts.first_text);
  if (facts.report.timing) {
    out["queue_ms"] = facts.report.timing->queue_ms;
    out["prefill_ms"] = facts.report.timing->prefill_ms;
    out["decode_ms"] = facts.report.timing->decode_ms;
  }
  return out;
}

}  // namespace

RequestObserver request_logger(RequestLogOptions options) {
  return [options](const std::shared_ptr<const RequestRecord>& record) {
    // An open event stream is no slow request.
    const bool slow = record->completion && record->seconds() * 1000 >= options.slow_ms;
    const bool failed = record->status >= 500;
    if (!options.requests && !slow && !failed) return;
    telemetry::log_fields(slow || failed ? spdlog::level::warn : spdlog::level::info,
                          fields_of(*record, slow));
  };
}

}  // namespace pmt::api
