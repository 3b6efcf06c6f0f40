// Takes the server's counters every two seconds and gives what they grew by to the history. Where each figure is from:
//   requests, first tokens, tokens, dollars and seconds saved   TenantTallies, of all tenants
//   tokens written, dollars spent                               llm::Meter: engines' own calls too, when an answer ends
//   keys' and values' bytes, running, waiting                   GET /v1/kv, over all models
// Thread-safety: any thread may call anything. What the sources point to outlives this, or its stop().
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "api/api.h"
#include "api/observe/completion_metrics.h"
#include "api/observe/history.h"

namespace pmt::api {

class HistorySampler {
 public:
  HistorySampler(History& history, const ApiOptions& options, const TenantTallies& tenants);
  ~HistorySampler() { stop(); }
  HistorySampler(const HistorySampler&) = delete;
  HistorySampler& operator=(const HistorySampler&) = delete;

  /// Now, so that what has ended so far is in the history.
  void sample();
  /// After a last sample. Idempotent.
  void stop();

 private:
  void run();

  History& history_;
  const ApiOptions& options_;
  const TenantTallies& tenants_;
  std::mutex sampling_;
  HistorySlot last_;  // under sampling_: the counters as they were
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopped_ = false;  // under mutex_
  std::thread thread_;
};

}  // namespace pmt::api
