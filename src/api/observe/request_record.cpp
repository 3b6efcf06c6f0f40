#include "api/observe/request_record.h"

#include <algorithm>

namespace pmt::api {

llm::CacheStatus CompletionFacts::cache_status() const {
  return report.cache ? report.cache->status : llm::CacheStatus::kBypass;
}

bool CompletionFacts::computed() const {
  const llm::CacheStatus status = cache_status();
  return completed && (status == llm::CacheStatus::kMiss || status == llm::CacheStatus::kBypass);
}

bool CompletionFacts::asked_upstream() const {
  const auto elsewhere = [](const llm::ModelCall& call) { return !call.local && call.computations > 0; };
  return computed() && (!report.upstream.is_null() || std::ranges::any_of(report.calls, elsewhere));
}

}  // namespace pmt::api
