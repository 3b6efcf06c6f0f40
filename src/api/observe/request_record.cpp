#include "api/observe/request_record.h"

namespace pmt::api {

llm::CacheStatus CompletionFacts::cache_status() const {
  return report.cache ? report.cache->status : llm::CacheStatus::kBypass;
}

bool CompletionFacts::computed() const {
  const llm::CacheStatus status = cache_status();
  return completed && (status == llm::CacheStatus::kMiss || status == llm::CacheStatus::kBypass);
}

}  // namespace pmt::api
