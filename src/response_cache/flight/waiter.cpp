#include <utility>

#include "response_cache/flight/single_flight.h"

namespace pmt::response_cache {

Waiter::Waiter(SingleFlight& table, Job job, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel)
    : table_(table), job_(std::move(job)), sink_(std::move(sink)), cancel_(std::move(cancel)) {}

void Waiter::watch_cancel() {
  cancel_callback_ = cancel_.on_cancel([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->leave();
  });
}

void Waiter::enter(std::shared_ptr<Flight> flight, bool leads) {
  leads_ = leads;
  held_.reset();
  const std::lock_guard lock(mutex_);
  flight_ = std::move(flight);
}

void Waiter::end_lookup(Ending ending, std::int64_t tokens, double usd) {
  if (job_.looked_up && !lookup_ended_.exchange(true))
    table_.cache_.end_lookup(
        job_.key, {.ending = ending,
                   .asker = asker_of(job_.request->engine_call),
                   .who = {.model = table_.options_.model, .tenant = job_.request->tenant, .key = {}},
                   .tokens = tokens,
                   .usd = usd});
}

void Waiter::leave() {
  std::shared_ptr<Flight> flight;
  {
    const std::lock_guard lock(mutex_);
    flight = std::exchange(flight_, nullptr);
  }
  if (flight) table_.leave(flight, *this);
}

void Waiter::forward(llm::Event event) {
  seen_ = true;
  if (!llm::is_terminal(event)) return sink_->on_event(std::move(event));
  end_lookup(Ending::kMiss);       // if nobody said otherwise
  std::shared_ptr<Flight> flight;  // freed after the lock
  {
    const std::lock_guard lock(mutex_);
    flight = std::exchange(flight_, nullptr);
  }
  const auto sink = std::exchange(sink_, nullptr);
  sink->on_event(std::move(event));
}

/// What the shared tier gave: a hit, or an answer that another server was computing.
bool Waiter::take_shared(llm::Event& event) {
  std::shared_ptr<Flight> flight;
  {
    const std::lock_guard lock(mutex_);
    flight = flight_;
  }
  if (!flight || !flight->shared_) return false;
  const Entry& entry = *flight->shared_;
  const bool waited = flight->shared_waited_;
  const llm::CacheReport report{
      .status = waited ? llm::CacheStatus::kCoalesced : llm::CacheStatus::kHit,
      .key = job_.key.hex(),
      .age_s = std::chrono::duration<double>(table_.clock_.now() - entry.stored_at).count(),
      .similarity = {},
      .tokens_saved = entry.meta.tokens,
      .usd_saved = entry.meta.usd,
      .seconds_saved = waited ? 0 : entry.meta.compute_s,
      .why = waited ? "another server computed it" : "another server had it"};
  if (auto* started = std::get_if<llm::Started>(&event)) started->cache = report;
  if (auto* done = std::get_if<llm::Done>(&event)) {
    end_lookup(waited ? Ending::kCoalesced : Ending::kHit, entry.meta.tokens, entry.meta.usd);
    if (!waited && job_.looked_up && !job_.request->engine_call) entry.hits.add();
    table_.count_use(*job_.request, entry.meta.tokens);
    done->report = reused_report(done->report, report);
  }
  forward(std::move(event));
  return true;
}

void Waiter::on_event(llm::Event&& event) {
  if (take_shared(event)) return;
  if (leads_) end_lookup(Ending::kMiss);
  if (auto* started = std::get_if<llm::Started>(&event)) {
    started->cache =
        cache_report(leads_ ? llm::CacheStatus::kMiss : llm::CacheStatus::kCoalesced, job_.key.hex());
    if (leads_) return forward(std::move(event));
    held_ = std::move(*started);
    return;
  }
  if (std::holds_alternative<llm::Failed>(event) && !leads_ && !seen_ && !cancelled()) {
    table_.join(shared_from_this());
    return;
  }
  if (held_ && !std::holds_alternative<llm::Failed>(event)) forward(*std::exchange(held_, std::nullopt));
  if (auto* done = std::get_if<llm::Done>(&event))
    return leads_ ? finish(std::move(*done)) : finish_shared(std::move(*done));
  forward(std::move(event));
}

void Waiter::finish(llm::Done done) {
  std::shared_ptr<Flight> flight;
  {
    const std::lock_guard lock(mutex_);
    flight = flight_;
  }
  done.report.cache = cache_report(llm::CacheStatus::kMiss, job_.key.hex());
  if (flight) {  // null: the caller leaves just now
    done.report.cache->why = flight->seen_.store_note.empty() ? job_.why : flight->seen_.store_note;
    if (job_.observation) {
      const Observation& seen = flight->seen_;
      job_.observation->compute_ms = seen.compute_ms;
      job_.observation->usd = seen.usd;
      job_.observation->store_ms = seen.store_ms;
      job_.observation->stored = seen.stored;
      job_.observation->store_note = seen.store_note;
    }
  }
  forward(std::move(done));
}

void Waiter::finish_shared(llm::Done done) {
  const std::int64_t tokens = total_tokens(done.usage);
  const double usd = table_.price(*job_.request, done.usage);
  end_lookup(Ending::kCoalesced, tokens, usd);
  table_.count_use(*job_.request, tokens);
  const llm::CacheReport cache{.status = llm::CacheStatus::kCoalesced,
                               .key = job_.key.hex(),
                               .age_s = 0,
                               .similarity = {},
                               .tokens_saved = tokens,
                               .usd_saved = usd,
                               .seconds_saved = 0,
                               .why = {}};
  forward(llm::Done{done.usage, reused_report(done.report, cache), std::move(done.extra)});
}

}  // namespace pmt::response_cache
