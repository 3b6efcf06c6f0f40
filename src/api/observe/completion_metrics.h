// Timings and tokens of completions for GET /metrics, under vLLM's names where the meaning is the same: they
// count what a model computed. What the response cache answered is in permutation_completions_total by
// status. What caches did is counted by model, tenant and key. Thread-safety: any thread.
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
#include <nlohmann/json.hpp>

#include "api/observe/first_token_times.h"
#include "api/observe/request_record.h"
#include "base/by_user.h"

namespace pmt::api {

inline constexpr int kCacheStatuses = 6;
/// Our caches, in the audit's order.
inline constexpr int kCountedCaches = 5;

class CompletionMetrics {
 public:
  /// `models`: the names that there are; others (asked for and not found) are counted as "other", so that no
  /// caller can make a series each request.
  explicit CompletionMetrics(const std::vector<std::string>& models);
  void observe(const RequestRecord& record);
  std::vector<prometheus::MetricFamily> collect() const;
  /// The same of callers as the page's tables have it: [{"model", "tenant", "key", "answers": {by status}, "failed",
  /// "tokens_saved", "usd_saved"}].
  nlohmann::json callers() const;

 private:
  struct OfModel;
  /// What one cache of ours did for a caller's answers.
  struct OfCache {
    std::uint64_t answers = 0;
    std::int64_t tokens = 0;
  };
  struct OfCaller {
    std::array<std::uint64_t, kCacheStatuses> answers{};  // by what the response cache did
    std::array<std::int64_t, kCacheStatuses> tokens{};
    std::array<OfCache, kCountedCaches> caches{};
    std::uint64_t failed = 0;
    double usd_saved = 0;
  };
  static void count(const CompletionFacts& facts, OfCaller& caller);
  void collect_callers(std::vector<prometheus::MetricFamily>& out) const;

  std::map<std::string, std::unique_ptr<OfModel>> models_;
  base::ByUser<OfCaller> callers_;  // the model as `models_` has it

 public:
  ~CompletionMetrics();
};

/// What one tenant got, from the response cache and else: of its completed answers, each counted once, as it ended.
/// Thread-safety: any thread.
class TenantTallies {
 public:
  struct Tally {
    std::array<std::uint64_t, kCacheStatuses> by_status{};
    std::uint64_t lookups = 0;  // of these, those for which the cache was read
    std::int64_t tokens_saved = 0;
    std::int64_t tokens_computed = 0;
    double usd_saved = 0;
    double seconds_saved = 0;          // what computing the answers of hits had taken
    std::uint64_t asked_upstream = 0;  // of those computed, those that another server's model had a part in
    std::uint64_t failed = 0;          // no answers: ended in an error, or left by their client
    FirstTokenTimes first_token;       // of those computed
    Tally& operator+=(const Tally& other);
    /// Of the lookups, those that an entry answered (hit, semantic_hit, stale); 0 without any.
    double hit_rate() const;
    /// Of all answers' tokens, those that weren't computed for their caller; 0 without any.
    double token_hit_rate() const;
  };
  void observe(const RequestRecord& record);
  Tally of(const std::string& tenant) const;
  Tally all() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Tally> tallies_;
};

}  // namespace pmt::api
