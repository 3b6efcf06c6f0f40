#include "api/observe/history_sampler.h"

#include <chrono>

#include "base/guard.h"

namespace pmt::api {
namespace {

constexpr std::chrono::seconds kBetween{2};

std::uint64_t& of(HistorySlot& slot, AnsweredBy by) {
  return slot.requests[static_cast<std::size_t>(by)];
}

void count_answers(const TenantTallies::Tally& all, HistorySlot& out) {
  const auto with = [&all](llm::CacheStatus status) {
    return all.by_status[static_cast<std::size_t>(status)];
  };
  using llm::CacheStatus;
  of(out, AnsweredBy::kExact) = with(CacheStatus::kHit) + with(CacheStatus::kStale);
  of(out, AnsweredBy::kSemantic) = with(CacheStatus::kSemanticHit);
  of(out, AnsweredBy::kShared) = with(CacheStatus::kCoalesced);
  of(out, AnsweredBy::kComputed) = with(CacheStatus::kMiss) + with(CacheStatus::kBypass) - all.asked_upstream;
  of(out, AnsweredBy::kUpstream) = all.asked_upstream;
  of(out, AnsweredBy::kFailed) = all.failed;
  out.first_token = all.first_token;
  out.tokens_saved = all.tokens_saved;
  out.usd_saved = all.usd_saved;
  out.seconds_saved = all.seconds_saved;
}

/// The counters since the start, and the gauges as they are.
HistorySlot read(const ApiOptions& options, const TenantTallies& tenants) {
  HistorySlot out;
  count_answers(tenants.all(), out);
  if (options.meter != nullptr) {
    for (const auto& [who, tally] : options.meter->tallies()) {
      out.tokens_written += tally.completion_tokens;
      out.usd_spent += tally.usd;
    }
  }
  if (!options.kv_stats) return out;
  const nlohmann::json stats = options.kv_stats();
  for (const nlohmann::json& model : stats.at("models")) {
    const nlohmann::json& engine = model.at("engine");
    out.kv_bytes += model.at("bytes").get<std::int64_t>();
    out.kv_bytes_max += model.at("bytes_max").get<std::int64_t>();
    out.running += engine.at("running").get<std::int64_t>();
    out.waiting += engine.at("waiting").get<std::int64_t>();
  }
  return out;
}

/// What the counters grew by; the gauges stay.
HistorySlot growth(HistorySlot now, const HistorySlot& last) {
  for (std::size_t i = 0; i < kAnsweredBys; ++i) now.requests[i] -= last.requests[i];
  now.first_token -= last.first_token;
  now.tokens_written -= last.tokens_written;
  now.tokens_saved -= last.tokens_saved;
  now.usd_spent -= last.usd_spent;
  now.usd_saved -= last.usd_saved;
  now.seconds_saved -= last.seconds_saved;
  return now;
}

}  // namespace

HistorySampler::HistorySampler(History& history, const ApiOptions& options, const TenantTallies& tenants)
    : history_(history), options_(options), tenants_(tenants) {
  thread_ = std::thread([this] { base::keep_running({base::Thread::kDashboard}, [this] { run(); }); });
}

void HistorySampler::sample() {
  const std::lock_guard lock(
      sampling_);  // also around the reading: an older one must not come after a newer one
  const HistorySlot now = read(options_, tenants_);
  history_.add(growth(now, last_));
  last_ = now;
}

void HistorySampler::run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kBetween, [this] { return stopped_; })) {
    lock.unlock();
    base::survives({base::Thread::kDashboard}, [this] { sample(); });  // the next one has it all
    lock.lock();
  }
}

void HistorySampler::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
  }
  wake_.notify_all();
  thread_.join();
  base::survives({base::Thread::kDashboard}, [this] { sample(); });
}

}  // namespace pmt::api
