// Timings and tokens of completions for GET /metrics, under vLLM's names where the meaning is the same: they
// count what a model computed. What the response cache answered is in permutation_completions_total by
// status. Thread-safety: any thread.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>

#include "api/observe/request_record.h"

namespace pmt::api {

inline constexpr int kCacheStatuses = 6;

class CompletionMetrics {
 public:
  /// `models`: the names that there are; others (asked for and not found) are counted as "other", so that no
  /// caller can make a series each request.
  explicit CompletionMetrics(const std::vector<std::string>& models);
  void observe(const RequestRecord& record);
  std::vector<prometheus::MetricFamily> collect() const;

 private:
  struct OfModel;
  std::map<std::string, std::unique_ptr<OfModel>> models_;

 public:
  ~CompletionMetrics();
};

/// What one tenant got from the response cache. Thread-safety: any thread.
class TenantTallies {
 public:
  struct Tally {
    std::array<std::uint64_t, kCacheStatuses> by_status{};
    std::int64_t tokens_saved = 0;
    double usd_saved = 0;
  };
  void observe(const RequestRecord& record);
  Tally of(const std::string& tenant) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Tally> tallies_;
};

}  // namespace pmt::api
