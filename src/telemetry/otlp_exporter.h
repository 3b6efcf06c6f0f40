// Sends spans to an OpenTelemetry collector (OTLP over HTTP, JSON), in batches, from a thread of its own. A
// collector that is slow or away costs the requests nothing: what doesn't fit the queue is dropped and
// counted; a batch that can't be delivered is tried once more and then dropped.
// Thread-safety: any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "telemetry/span.h"

namespace pmt::telemetry {

struct OtlpOptions {
  std::string endpoint;  // http://host:port; the path /v1/traces is appended
  std::string service_name = "permutation";
  std::string version = {};
  std::size_t queue_max = 4096;  // spans
  std::size_t batch_max = 512;
  int period_ms = 1000;
  int timeout_s = 5;
  std::function<void(const std::string&)> on_warning = [](const std::string&) {};  // once per outage
};

struct OtlpStats {
  std::uint64_t exported = 0, dropped = 0, failures = 0;  // spans, spans, POSTs
};

class OtlpExporter {
 public:
  explicit OtlpExporter(OtlpOptions options);
  /// Sends what waits, for at most one try.
  ~OtlpExporter();

  void add(std::vector<Span> spans);
  OtlpStats stats() const;

 private:
  void run();
  void send(std::vector<Span> batch);
  bool post(const std::string& body);

  const OtlpOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Span> waiting_;  // under mutex_
  bool stopping_ = false;     // under mutex_
  bool down_ = false;         // of the thread
  std::atomic<std::uint64_t> exported_{0}, dropped_{0}, failures_{0};
  std::thread thread_;
};

}  // namespace pmt::telemetry
