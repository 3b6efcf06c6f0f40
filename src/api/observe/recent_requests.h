// The last requests, for the dashboard: who, what, how long, and what the caches did.
// Thread-safety: any thread.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/observe/request_record.h"

namespace pmt::api {

nlohmann::json record_json(const RequestRecord& record);

class RecentRequests {
 public:
  static constexpr std::size_t kKept = 1000;

  void add(std::shared_ptr<const RequestRecord> record);
  /// The latest first.
  std::vector<std::shared_ptr<const RequestRecord>> latest() const;
  /// Percentiles over the kept completions that a model computed, null where there are none:
  /// {"ttft_ms": {"p50", "p95", "p99"}, "tpot_ms": {...}, "queue_ms": {...}, "samples": n}
  nlohmann::json percentiles() const;

 private:
  mutable std::mutex mutex_;
  std::deque<std::shared_ptr<const RequestRecord>> records_;
};

}  // namespace pmt::api
