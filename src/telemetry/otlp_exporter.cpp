#include "telemetry/otlp_exporter.h"

#include <chrono>
#include <iterator>

#include <fmt/format.h>

#include "base/guard.h"
#include "net/http_client.h"

namespace pmt::telemetry {

OtlpExporter::OtlpExporter(OtlpOptions options)
    : options_(std::move(options)),
      thread_([this] { base::keep_running({base::Thread::kTelemetry}, [this] { run(); }); }) {}

OtlpExporter::~OtlpExporter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void OtlpExporter::add(std::vector<Span> spans) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() + spans.size() > options_.queue_max) {
    dropped_ += spans.size();
    return;
  }
  std::move(spans.begin(), spans.end(), std::back_inserter(waiting_));
  if (waiting_.size() >= options_.batch_max) wake_.notify_one();
}

OtlpStats OtlpExporter::stats() const {
  return {.exported = exported_, .dropped = dropped_, .failures = failures_};
}

void OtlpExporter::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait_for(lock, std::chrono::milliseconds(options_.period_ms),
                   [this] { return stopping_ || waiting_.size() >= options_.batch_max; });
    while (!waiting_.empty()) {
      const auto end =
          waiting_.begin() + static_cast<std::ptrdiff_t>(std::min(waiting_.size(), options_.batch_max));
      std::vector<Span> batch(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(end));
      waiting_.erase(waiting_.begin(), end);
      const bool last_chance = stopping_;
      lock.unlock();
      const std::size_t spans = batch.size();
      if (!base::survives({base::Thread::kTelemetry}, [&] { send(std::move(batch)); })) dropped_ += spans;
      lock.lock();
      if (last_chance && down_) break;
    }
    if (stopping_) return;
  }
}

void OtlpExporter::send(std::vector<Span> batch) {
  const std::string body = otlp_json(batch, options_.service_name, options_.version);
  if (post(body) || (!down_ && post(body))) {
    exported_ += batch.size();
    down_ = false;
    return;
  }
  dropped_ += batch.size();
  if (!down_)
    options_.on_warning(
        fmt::format("can't send traces to {}: dropping them until it answers", options_.endpoint));
  down_ = true;
}

bool OtlpExporter::post(const std::string& body) {
  const auto client = net::HttpClient::connect(options_.endpoint, options_.timeout_s);
  if (client) {
    const auto response =
        (*client)->request("POST", "/v1/traces", {{"content-type", "application/json"}}, body);
    if (response && response->status < 300) return true;
  }
  ++failures_;
  return false;
}

}  // namespace pmt::telemetry
